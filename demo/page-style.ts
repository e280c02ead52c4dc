// The style of the demo page: dark and light, from phone width up.

/** Contents of the page's style element. */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f4f5f2, #12161a);
  --card: light-dark(#ffffff, #1a2026);
  --line: light-dark(#dfe3dc, #2b333b);
  --ink: light-dark(#1b2420, #e6ebe8);
  --soft: light-dark(#5d6963, #95a29b);
  --accent: light-dark(#0b6e4f, #4cc38a);
  --on-accent: light-dark(#ffffff, #08130e);
  --bad: light-dark(#b3261e, #ff8a80);
  --hue: 160;
}
* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }
body {
  background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  min-height: 100vh; display: grid; place-items: start center; padding: clamp(16px, 6vh, 72px) 16px;
}
main {
  width: min(100%, 560px); background: var(--card); border: 1px solid var(--line); border-radius: 18px;
  padding: clamp(20px, 5vw, 36px); display: grid; gap: 24px;
  box-shadow: 0 1px 2px rgb(0 0 0 / 6%), 0 12px 40px rgb(0 0 0 / 8%);
}
h1 { font-size: 1.25rem; letter-spacing: -0.01em; }
h1 span { color: var(--soft); font-weight: 400; }
.architecture { color: var(--soft); margin-top: 6px; font-size: .95rem; }
.architecture b { color: var(--accent); font-weight: 600; }
.answered { display: flex; align-items: center; gap: 18px; }
.badge {
  width: 76px; height: 76px; flex: none; border-radius: 18px; display: grid; place-items: center;
  font-size: 2.1rem; font-weight: 650; text-transform: uppercase;
  background: oklch(52% .14 var(--hue)); color: #fff; transition: background .25s;
}
.badge.long { font-size: 1rem; text-transform: none; }
.label { color: var(--soft); font-size: .82rem; }
.who { font-size: 1.2rem; font-weight: 600; overflow-wrap: anywhere; }
form { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
form label { display: grid; gap: 4px; font-size: .82rem; color: var(--soft); }
form button, form .hint { grid-column: 1 / -1; }
.hint { font-size: .82rem; color: var(--soft); }
code { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; color: var(--ink); }
input:not([type=checkbox]) {
  font: inherit; color: inherit; width: 100%; min-height: 44px; padding: 8px 12px; border-radius: 10px;
  border: 1px solid var(--line); background: var(--ground);
}
button {
  font: inherit; font-weight: 600; min-height: 44px; padding: 8px 18px; border-radius: 10px; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: inherit;
}
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button:hover { filter: brightness(1.08); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.session { display: flex; justify-content: space-between; align-items: end; flex-wrap: wrap; gap: 14px; }
.counter { font-size: 2.6rem; line-height: 1.1; font-weight: 650; font-variant-numeric: tabular-nums; }
.buttons { display: flex; gap: 10px; }
.message { color: var(--bad); min-height: 1.5em; margin: -14px 0; font-size: .9rem; }
.strip-label { display: flex; justify-content: space-between; gap: 12px; margin-bottom: 8px; }
.strip { list-style: none; padding: 0; display: grid; grid-template-columns: repeat(15, 1fr); gap: 4px; }
.strip li {
  aspect-ratio: 1; border-radius: 6px; display: grid; place-items: center; overflow: hidden;
  font-size: .8rem; font-weight: 650; text-transform: uppercase; color: #fff; background: oklch(52% .14 var(--hue));
}
.strip li.out { background: transparent; border: 2px dashed; color: light-dark(oklch(50% .14 var(--hue)), oklch(76% .12 var(--hue))); }
.strip li.error { background: transparent; color: var(--bad); border: 2px solid; }
.strip li.empty { background: var(--ground); border: 1px solid var(--line); }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; margin-top: 10px; font-size: .8rem; color: var(--soft); }
.legend span { display: inline-flex; align-items: center; gap: 6px; white-space: nowrap; }
.key { width: 12px; height: 12px; border-radius: 4px; background: var(--soft); }
.key.out { background: transparent; border: 2px dashed var(--soft); }
.key.error { background: transparent; border: 2px solid var(--bad); }
.switch { margin-left: auto; display: flex; gap: 6px; align-items: center; cursor: pointer; min-height: 24px; }
.switch input { accent-color: var(--accent); }
@media (max-width: 400px) {
  form { grid-template-columns: 1fr; }
  .strip { grid-template-columns: repeat(10, 1fr); }
  .buttons { width: 100%; }
  .buttons button { flex: 1; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`;
