# Holdfast in a container: docker build -t holdfast . && docker run -p 8080:8080 -v ./holdfast.yaml:/etc/holdfast/holdfast.yaml:ro holdfast
FROM node:26.13.1-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
COPY test/pinned-node ./test/pinned-node
# --ignore-scripts: nothing of ours needs one
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json bundle.ts ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:26.13.1-slim
ENV NODE_ENV=production
WORKDIR /opt/holdfast
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY src/holdfast.mjs ./src/holdfast.mjs
COPY docs/deploy/holdfast.yaml /etc/holdfast/holdfast.yaml
RUN ln -s /opt/holdfast/src/holdfast.mjs /usr/local/bin/holdfast \
 && chmod 755 /opt/holdfast/src/holdfast.mjs \
 && install -d -o node -g node /var/lib/holdfast
# uid 1000 of the base image
USER node
VOLUME /var/lib/holdfast
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9090/healthz').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/holdfast/src/holdfast.mjs"]
CMD ["run", "--config", "/etc/holdfast/holdfast.yaml"]
