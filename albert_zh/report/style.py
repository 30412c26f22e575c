"""The style sheet of the page: light and dark, wide and narrow, screen and print."""

STYLE = """
:root {
  color-scheme: light dark; --paper: #faf8f3; --card: #fffefb; --ink: #1d1b18; --soft: #686157;
  --rule: #e4ded2; --grid: #ece7dc; --c0: #3c6e91; --c1: #b8392a; --c2: #8a6d1f; --c3: #5c7a3f;
  --c4: #7a5195; --c5: #2f7f86;
  --base: #a8a091; --good: #2c7a4b; --unsure: #9a6b00; --bad: #b8392a;
  --sans: "Noto Sans CJK SC","Source Han Sans SC","PingFang SC","Microsoft YaHei","WenQuanYi Zen Hei",sans-serif;
  --serif: "Noto Serif CJK SC","Source Han Serif SC","Songti SC","SimSun",serif;
  --mono: ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace;
}
@media (prefers-color-scheme:dark) {
  :root {
    --paper: #151412; --card: #1e1c19; --ink: #ebe6db; --soft: #a59d8f; --rule: #37332c; --grid: #2b2823;
    --c0: #7fb2d6; --c1: #ec7864; --c2: #d4b45a; --c3: #9dc07a; --c4: #c1a0dc; --c5: #74c6c9;
    --base: #7d766a; --good: #6cc48f; --unsure: #dcae4e; --bad: #ec7864;
  }
}
@media (prefers-color-scheme:dark) {
  .example .masked-example .mask { background: #5e211c; color: #ffd2cb }
  .example .masked-example .random { background: #54430f }
  .example .masked-example .kept { background: #1f4a2b }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth }
body {
  margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.65 var(--sans);
  font-variant-numeric: tabular-nums;
}
header,main { max-width: 1120px; margin: 0 auto; padding: 0 clamp(16px,4vw,40px) }
header { padding-top: clamp(28px,5vw,56px) }
h1 { font: 700 clamp(26px,4.2vw,38px)/1.25 var(--serif); margin: 0 0 10px; text-wrap: balance }
h2 {
  font: 700 23px/1.3 var(--serif); margin: 56px 0 18px; padding-top: 14px; border-top: 2px solid var(--ink);
  overflow-wrap: anywhere;
}
h3 { font-size: 16px; line-height: 1.4; margin: 32px 0 10px }
h2 [lang=en],h3 [lang=en] { font: 400 .72em var(--sans); color: var(--soft); margin-left: .45em }
dl.facts {
  display: flex; flex-wrap: wrap; gap: 1px; margin: 22px 0; background: var(--rule); border: 1px solid var(--rule);
  border-radius: 8px; overflow: hidden;
}
dl.facts div { flex: 1 1 300px; background: var(--card); padding: 10px 16px }
dt { font-size: 12px; color: var(--soft) }
dd { margin: 0; font-size: 14px; overflow-wrap: anywhere; text-wrap: pretty }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 6px 0 -18px }
nav a { color: var(--soft); text-decoration: none; border-bottom: 1px solid var(--rule) }
nav a:hover,nav a:focus-visible { color: var(--c1); border-color: currentColor }
.note { color: var(--soft); font-size: 13px; margin: 10px 0 }
ul.note { padding-left: 1.3em }
.note [lang=en] { display: block }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit,minmax(min(100%,420px),1fr)); gap: 18px;
  margin-bottom: 24px;
}
.card,figure,.example { background: var(--card); border: 1px solid var(--rule); border-radius: 10px }
.card { padding: 20px 22px }
.card h3 { margin: 0; font-size: 17px }
.about { margin: 0; color: var(--soft); font-size: 13px }
.big { font: 700 46px/1.1 var(--serif); margin: 12px 0 4px }
.big small { font: 400 15px var(--sans); color: var(--soft); margin-left: 4px }
.verdict { margin: 0 0 14px; font-weight: 600 }
.verdict::before {
  content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%; background: currentColor;
  margin-right: 8px;
}
.verdict [lang=en] { font-weight: 400; margin-left: .6em; font-size: 13px; display: inline-block }
.good { color: var(--good) }
.unsure { color: var(--unsure) }
.bad { color: var(--bad) }
.bars {
  display: grid; grid-template-columns: minmax(0,max-content) 1fr max-content; gap: 7px 12px;
  align-items: center; font-size: 13px;
}
.bars .value { text-align: right }
.track { position: relative; height: 10px; background: var(--grid); border-radius: 2px }
.track i { position: absolute; display: block }
.fill { left: 0; top: 0; bottom: 0; border-radius: 2px; background: var(--base) }
.fill.model { background: var(--c1) }
.fill.other { background: var(--c0) }
.fill.published { background: none; border: 1px solid var(--base) }
.whisker { top: 4px; height: 2px; background: var(--ink) }
.whisker::before,.whisker::after {
  content: ""; position: absolute; top: -3px; width: 2px; height: 8px; background: inherit;
}
.whisker::before { left: 0 }
.whisker::after { right: 0 }
.charts {
  display: grid; grid-template-columns: repeat(auto-fit,minmax(min(100%,400px),1fr)); gap: 18px;
  margin: 14px 0;
}
figure { margin: 0; padding: 14px 16px 10px; min-width: 0; display: flex; flex-direction: column }
figcaption {
  display: flex; flex-wrap: wrap; gap: 2px 16px; align-items: baseline; margin-bottom: 6px; font-size: 13px;
}
figcaption .title { font-weight: 600; font-size: 14px; flex-basis: 100% }
.key { color: var(--soft) }
.key b { color: var(--ink); font-weight: 600 }
.key::before {
  content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px; vertical-align: middle;
  margin-right: 6px; background: var(--c);
}
svg { display: block; width: 100%; height: auto; margin-top: auto; font-family: var(--sans) }
.c0 { --c: var(--c0) }
.c1 { --c: var(--c1) }
.c2 { --c: var(--c2) }
.c3 { --c: var(--c3) }
.c4 { --c: var(--c4) }
.c5 { --c: var(--c5) }
.grid { stroke: var(--grid) }
.tick { fill: var(--soft); font-size: 12px }
.line { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }
.line.again { stroke-dasharray: 7 3 }
.dot { fill: var(--c) }
.ring { fill: none; stroke: var(--c); stroke-width: 1.5 }
.reference { stroke: var(--soft); stroke-width: 1.4; stroke-dasharray: 6 4 }
.reference.line1 { stroke-dasharray: 2 4 }
.key.line0::before,.key.line1::before {
  width: 22px; height: 2px; border-radius: 0;
  background: repeating-linear-gradient(90deg,var(--soft) 0 6px,transparent 6px 8px);
}
.key.line1::before { background: repeating-linear-gradient(90deg,var(--soft) 0 2px,transparent 2px 5px) }
.example { padding: 6px 20px; overflow-x: auto; font-size: 16px; line-height: 2 }
.example .masked-example { color: var(--ink); font-family: var(--sans) }
.example .masked-example .facts, .example .masked-example .special { color: var(--soft) }
.example .masked-example rt { color: var(--ink) }
.example .masked-example .word { border-bottom-color: var(--rule) }
.example .legend {
  font-size: 13px; line-height: 1.9; border-top: 1px solid var(--rule); padding-top: 8px; margin: 0 0 4px;
}
.example .legend span {
  padding: 1px 6px; margin-right: 10px; border-radius: 3px; font-size: 13px; white-space: nowrap; display: inline-block;
}
.scroll { overflow-x: auto; margin: 8px 0 }
table { border-collapse: collapse; font-size: 14px; min-width: min(100%,360px) }
th,td { padding: 7px 14px 7px 0; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: top }
thead th {
  font-size: 12px; font-weight: 500; color: var(--soft); border-bottom: 1px solid var(--ink);
  vertical-align: bottom;
}
.number { text-align: right; padding: 7px 0 7px 18px; white-space: nowrap }
thead .number { white-space: normal }
#scores table { width: 100% }
#scores td:first-child { font-weight: 600 }
.heat { border-collapse: separate; border-spacing: 2px }
.heat th,.heat td { border: 0; padding: 5px 8px; text-align: center; white-space: nowrap }
.heat tbody th { text-align: right; font-weight: 500; font-size: 13px; padding-left: 0 }
.heat .corner { text-align: right; font-weight: 400 }
.heat td { min-width: 38px; border-radius: 3px; background: var(--grid) }
.heat .hit { background: color-mix(in srgb,var(--c0) var(--share),var(--grid)) }
.heat .miss { background: color-mix(in srgb,var(--c1) var(--share),var(--grid)) }
.heat .zero { color: var(--base) }
.heat .dark { color: var(--card); font-weight: 600 }
.heat .side { background: none; color: var(--soft); font-size: 13px; text-align: right; padding-left: 12px }
.heat thead .side { font-size: 12px }
.hard { list-style: none; margin: 0; padding: 0 }
.hard li {
  display: grid; grid-template-columns: minmax(0,1fr) 350px; gap: 4px 28px; padding: 10px 0;
  border-bottom: 1px solid var(--rule);
}
.hard li:first-child { border-top: 1px solid var(--ink) }
.texts p {
  margin: 0; overflow-wrap: anywhere; display: -webkit-box; -webkit-line-clamp: 4;
  -webkit-box-orient: vertical; overflow: hidden;
}
u { text-decoration-color: var(--c1); text-decoration-thickness: 2px; text-underline-offset: 4px }
.labels {
  display: grid; grid-template-columns: 1fr auto; gap: 0 16px; font-size: 13px; color: var(--soft);
  align-content: start;
}
.labels b { color: var(--ink); font-weight: 600 }
.labels .gold { grid-column: 1 }
.labels .wrong b { color: var(--bad) }
.labels .right b { color: var(--good) }
.labels .wrong,.labels .right { grid-column: 1 }
.probability { grid-column: 2; grid-row: 1; text-align: right; font-weight: 600; color: var(--ink) }
.probability small { font-weight: 400; color: var(--soft) }
.where { grid-column: 2; grid-row: 2; text-align: right; font-size: 12px }
.commands { list-style: none; padding: 0; margin: 0 }
.commands li { margin: 0 0 12px }
pre {
  margin: 4px 0 0; padding: 10px 14px; background: var(--card); border: 1px solid var(--rule);
  border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere;
}
code { font: 13px/1.6 var(--mono) }
main { padding-bottom: 80px }
@media (max-width:620px) {
  dl.facts div { flex-basis: 100% }
  .hard li { grid-template-columns: minmax(0,1fr) }
  .tick { font-size: 16px }
  .axis { display: none }
  .bars { grid-template-columns: minmax(0,1fr) max-content; grid-auto-flow: row dense; gap: 3px 12px }
  .bars .track { grid-column: 1/-1; margin-bottom: 7px }
  .bars .value { grid-column: 2 }
}
@media print {
  .card,figure,.hard li,tr { break-inside: avoid }
  nav { display: none }
}
"""
