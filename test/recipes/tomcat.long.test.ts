// Tomcat with two contexts behind Holdfast, as docs/recipes/tomcat.md has it: sessions of both under one name, ids that change
// at log-in, and a count that is what the applications count.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Answer, Visitor } from '../demo/visitor.ts';
import {
  type ApplicationServer,
  countsAgree,
  startApplication,
  testFolder,
  usersComeAndGo,
} from '../support/application.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';
import { recipe } from '../support/recipe.ts';

/** The cookie of this context has the longer path, so a browser shows it before the other's. */
const INNER = '/shop';
const STAYING = 6;

const APPLICATION = `<%@ page session="false" contentType="application/json" trimDirectiveWhitespaces="true"
  import="java.util.concurrent.atomic.AtomicInteger, jakarta.servlet.http.*" %><%!
  static final AtomicInteger sessions = new AtomicInteger();
  public static class Visit implements HttpSessionBindingListener {
    int counter = -1;
    public void valueBound(HttpSessionBindingEvent event) { sessions.incrementAndGet(); }
    public void valueUnbound(HttpSessionBindingEvent event) { sessions.decrementAndGet(); }
  }
%><%
  String path = request.getServletPath();
  if (path.equals("/count")) { out.print(sessions.get()); return; }
  HttpSession found = request.getSession(true);
  Visit visit = (Visit) found.getAttribute("visit");
  if (visit == null) found.setAttribute("visit", visit = new Visit());
  if (path.equals("/login")) { request.changeSessionId(); visit.counter = 0; }
  else if (visit.counter < 0) { response.setStatus(401); out.print("{}"); return; }
  else if (path.equals("/inc")) visit.counter += 1;
  else if (path.equals("/logout")) {
    found.invalidate();
    Cookie cookie = new Cookie("JSESSIONID", "");
    cookie.setPath(request.getContextPath().isEmpty() ? "/" : request.getContextPath());
    cookie.setMaxAge(0);
    response.addCookie(cookie);
    out.print("{}");
    return;
  }
  out.print("{\\"server\\":\\"" + System.getenv("SERVER") + "\\",\\"counter\\":" + visit.counter + "}");
%>`;

const PATHS = ['/whoami', '/login', '/inc', '/logout', '/count'];
const WEB_XML = `<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0" metadata-complete="true">
  <servlet><servlet-name>a</servlet-name><jsp-file>/application.jsp</jsp-file></servlet>
  <servlet-mapping><servlet-name>a</servlet-name>${PATHS.map((path) => `<url-pattern>${path}</url-pattern>`).join('')}</servlet-mapping>
</web-app>`;

const serverXml = (port: number): string => `<Server port="-1"><Service name="Catalina">
  <Connector port="${port}" address="127.0.0.1"/>
  <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps" startStopThreads="0"/></Engine>
</Service></Server>`;

const CONTEXT_XML = '<Context><JarScanner scanClassPath="false"/></Context>';

async function tomcat(program: string, name: string): Promise<ApplicationServer> {
  const base = testFolder();
  for (const folder of ['conf', 'logs', 'temp', 'work']) mkdirSync(join(base, folder));
  cpSync('/etc/tomcat10/web.xml', join(base, 'conf/web.xml'));
  writeFileSync(join(base, 'conf/context.xml'), CONTEXT_XML);
  for (const context of ['ROOT', INNER.slice(1)]) {
    mkdirSync(join(base, 'webapps', context, 'WEB-INF'), { recursive: true });
    writeFileSync(join(base, 'webapps', context, 'application.jsp'), APPLICATION);
    writeFileSync(join(base, 'webapps', context, 'WEB-INF/web.xml'), WEB_XML);
  }
  writeFileSync(join(base, 'webapps/ROOT/healthz'), '');
  const args = (port: number): readonly string[] => {
    writeFileSync(join(base, 'conf/server.xml'), serverXml(port));
    return ['run'];
  };
  const url = await startApplication(program, args, {
    env: {
      ...process.env,
      SERVER: name,
      CATALINA_BASE: base,
      CATALINA_OPTS:
        '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx128m -Djava.security.egd=file:/dev/urandom',
    },
  });
  const sessions = async (): Promise<number> => {
    const counts = ['', INNER].map(async (context) => (await fetch(`${url}${context}/count`)).text());
    return (await Promise.all(counts)).reduce((sum, count) => sum + Number(count), 0);
  };
  return { name, url, sessions };
}

test('sessions of both contexts stay where they are, through log-in and log-out, and are counted', async ({
  skip,
}) => {
  const program = needs('tomcat', skip);
  const servers = await Promise.all(['a', 'b'].map((name) => tomcat(program, name)));
  const holdfast = await runHoldfast(recipe(readFileSync('docs/recipes/tomcat.md', 'utf8'), servers));
  const outer = Array.from({ length: 10 }, () => new Visitor());
  const inner = outer.map(() => new Visitor());
  const askOuter = (user: number, path: string): Promise<Answer> =>
    (outer[user] as Visitor).post(`${holdfast.url}${path}`);
  // the cookie of the whole site is shown in the inner context too, after its own
  const askInner = (user: number, path: string): Promise<Answer> => {
    const cookie = [inner[user]?.cookie, outer[user]?.cookie].filter((one) => one).join('; ');
    return (inner[user] as Visitor).post(
      `${holdfast.url}${INNER}${path}`,
      {},
      cookie === '' ? {} : { cookie },
    );
  };
  await usersComeAndGo(holdfast, servers, askOuter);
  const at = async (user: number): Promise<unknown> =>
    ((await askOuter(user, '/inc')).body as { server?: unknown }).server;
  for (let user = 0; user < outer.length; user += 1) {
    // who has a session in one context begins the next at the same server
    const { body } = await askInner(user, '/login');
    if (user >= outer.length - STAYING) expect((body as { server?: unknown }).server).toBe(await at(user));
  }
  expect(await countsAgree(holdfast, servers)).toBe(STAYING + outer.length);
  for (let user = 0; user < outer.length; user += 1) {
    expect((await askInner(user, '/inc')).body).toMatchObject({ counter: 1 });
    if (user % 2 === 0) await askInner(user, '/logout');
  }
  expect(await countsAgree(holdfast, servers)).toBe(STAYING + outer.length / 2);
});
