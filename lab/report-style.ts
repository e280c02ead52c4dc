// The look of the HTML report, light and dark.

export const REPORT_STYLE = `
:root{--ground:#fbfaf8;--panel:#fff;--ink:#1d2329;--soft:#5c6670;--line:#dfe2e5;--bar:#3b6ea5;--bracket:#1d2329;
--good:#20714a;--good-back:#dcf1e5;--warn:#865600;--warn-back:#fdf0d0;--bad:#b3261e;--bad-back:#fbe1df;--up:#cfe3d7}
@media (prefers-color-scheme:dark){:root{--ground:#14181c;--panel:#1b2127;--ink:#e6e9ec;--soft:#9aa5b0;--line:#2f373f;
--bar:#6ba1dc;--bracket:#e6e9ec;--good:#74d3a0;--good-back:#173528;--warn:#f0c162;--warn-back:#3a2e13;--bad:#ff8f86;
--bad-back:#44201d;--up:#274637}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main,footer{max-width:1240px;margin:0 auto;padding:0 24px}
header{padding-top:40px}
h1{font-size:30px;line-height:1.2;margin:0 0 8px;letter-spacing:-.01em}
h2{font-size:19px;margin:44px 0 10px}
h2 span{font-weight:400;color:var(--soft);font-size:15px;margin-left:6px}
.lead{font-size:17px;max-width:62ch;margin:0 0 6px}
.meta,.note,footer{color:var(--soft);font-size:13.5px}
.tiles{list-style:none;display:flex;flex-wrap:wrap;gap:8px;padding:0;margin:18px 0 0}
.tiles li{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:8px 14px;color:var(--soft)}
.tiles b{font-size:20px;color:var(--ink);margin-right:4px;font-variant-numeric:tabular-nums}
.tiles .outside b,.tiles .failed b{color:var(--bad)}.tiles .inside b{color:var(--good)}.tiles .explained b{color:var(--warn)}
.scroll{overflow-x:auto;background:var(--panel);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th,td{padding:6px 12px;text-align:left;vertical-align:top}
thead th{color:var(--soft);font-weight:500;font-size:12.5px;vertical-align:bottom;border-bottom:1px solid var(--line)}
tbody+tbody tr:first-child>*{border-top:1px solid var(--line)}
.decision tbody th{font-weight:600;min-width:170px}
.decision td{font-variant-numeric:tabular-nums;min-width:84px}
.decision .advice td{color:var(--soft);padding-top:0;padding-bottom:9px;font-style:italic}
.cells .cell th{font-weight:600;padding-top:9px}
.cells td:first-child{width:27%}.cells td:nth-child(2){width:36%;color:var(--soft)}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.cells thead th:nth-child(3),.cells thead th:nth-child(4){text-align:right}
.cells td:last-child{width:13%}
code{float:right;font:12px ui-monospace,Menlo,Consolas,monospace;color:var(--soft);font-weight:400;user-select:all}
.code{display:inline-block;min-width:32px;color:var(--soft);font-weight:500}
.pill{display:inline-block;border-radius:99px;padding:0 9px;font-size:12px;font-weight:500;line-height:19px;white-space:nowrap}
.pill.inside{background:var(--good-back);color:var(--good)}
.pill.explained,.pill.skipped{background:var(--warn-back);color:var(--warn)}
.pill.outside,.pill.failed{background:var(--bad-back);color:var(--bad)}
small{display:block;color:var(--soft);margin-top:3px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:16px;margin-top:40px}
figure{margin:0;background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:16px 18px 12px}
figcaption b{display:block}
figcaption span{display:block;color:var(--soft);font-size:13px;margin-bottom:10px}
svg{width:100%;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg .tick{fill:var(--soft);font-size:11px}
svg .value{font-variant-numeric:tabular-nums}
svg .bar{fill:var(--bar)}svg .bar.out{fill:var(--bad)}
svg .axis{stroke:var(--line)}svg .bracket{stroke:var(--bracket);stroke-width:1.3;opacity:.75}
svg .curve{stroke:var(--bar);stroke-width:1.8;fill:none}
svg .up{fill:var(--up)}svg .down{fill:var(--bad)}svg .lost{fill:var(--ink)}
svg .fault{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 2}
footer{padding:28px 24px 48px}
@media print{.scroll{overflow:visible}}
`;
