// The backend's page at /: who you are, which server answered, your counter, and a strip of the latest answers, so
// that one sees affinity. Self-contained: no request leaves for anything but this application.
import { createHash } from 'node:crypto';
import type { BackendOptions } from './flags.ts';
import { pageScript } from './page-script.ts';
import { pageStyle } from './page-style.ts';
import { DEMO_PASSWORD } from './users.ts';

/** Response headers of the page. Only the two inline blocks below run, by their hashes. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'content-security-policy': [
    "default-src 'none'",
    `style-src ${sourceHash(pageStyle)}`,
    `script-src ${sourceHash(pageScript)}`,
    "connect-src 'self'",
    'img-src data:',
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
};

/** The page of one backend. */
export function page(options: BackendOptions, sentence: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Holdfast demo</title>
<link rel="icon" href="data:,">
<style>${pageStyle}</style>
</head>
<body>
<main>
  <header>
    <h1>Holdfast <span>demo</span></h1>
    <p class="architecture"><b>${escapeHtml(options.architecture)}</b> sessions. ${escapeHtml(sentence)}</p>
  </header>

  <section class="answered">
    <div class="badge" id="server">${escapeHtml(options.name)}</div>
    <div>
      <p class="who" id="who">&nbsp;</p>
      <p class="label" id="by">answered by server ${escapeHtml(options.name)}</p>
    </div>
  </section>

  <form id="login" method="post" action="/login" hidden>
    <label>User <input name="user" value="alice" autocomplete="username" required></label>
    <label>Password <input name="password" type="password" value="${DEMO_PASSWORD}" autocomplete="current-password" required></label>
    <button class="primary">Log in</button>
    <p class="hint">alice, bob, carol, user1, user2, … all with the password <code>${DEMO_PASSWORD}</code></p>
  </form>

  <section id="session" class="session" hidden>
    <div>
      <p class="label">your counter</p>
      <p class="counter" id="counter">0</p>
      <p class="label" id="backup"></p>
    </div>
    <div class="buttons">
      <button class="primary" id="increment" type="button">Count up</button>
      <button id="logout" type="button">Log out</button>
    </div>
  </section>
  <p id="message" class="message" role="status"></p>

  <section>
    <p class="label strip-label"><span>latest answers</span><span id="summary"></span></p>
    <ol id="strip" class="strip"></ol>
    <p class="legend"><span><i class="key"></i>logged in</span> <span><i class="key out"></i>session unknown</span>
      <span><i class="key error"></i>error</span>
      <label class="switch"><input type="checkbox" id="live" checked> ask every second</label></p>
  </section>
</main>
<script>${pageScript}</script>
</body>
</html>
`;
}

function sourceHash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
