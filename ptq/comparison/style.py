"""How the HTML report looks: Okabe-Ito colours, every one with a word or a shape beside it."""

STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #111;
  background: #fff; max-width: 1080px; margin: 24px auto; padding: 0 16px; }
h1 { font-size: 22px; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 28px 0 6px; border-bottom: 1px solid #999; break-after: avoid; }
h2 + p { break-after: avoid; }
p, ul { margin: 6px 0; max-width: 62em; }
.sides { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; overflow-wrap: anywhere; }
li { overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 8px 0; }
th, td { text-align: left; vertical-align: top; padding: 2px 7px; border-bottom: 1px solid #ddd; }
th { font-weight: 600; background: #f3f3f3; }
td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr { break-inside: avoid; }
.layers { font-size: 11.5px; width: 100%; }
.layers td, .layers th { padding: 2px 5px; }
.layers .kind { font-size: 11px; padding: 0 4px; }
.layers th[colspan] { text-align: center; border-left: 1px solid #bbb; }
td.name { overflow-wrap: anywhere; min-width: 14em; }
td.why { overflow-wrap: anywhere; min-width: 11em; }
.kind { display: inline-block; padding: 0 6px; border-radius: 3px; border: 1px solid #555; color: #000;
  background: #fff; font-size: 12px; }
.rounding { background: #56b4e9; } .saturation { background: #f0e442; }
.scale { background: #d55e00; color: #fff; } .inherited { background: #f4d9e8; border-style: dashed; }
.other { background: #000; color: #fff; } .none { border-style: dotted; }
figure { margin: 4px 0 10px; break-inside: avoid; }
figcaption { font-size: 12px; min-height: 4.4em; overflow-wrap: anywhere; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 12px; }
svg { max-width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #111; }
svg .head { font-weight: 600; } svg .tick { fill: #444; font-size: 10px; } svg .tiny { font-size: 8px; }
svg .mid { text-anchor: middle; } svg .end { text-anchor: end; }
svg .axis { stroke: #111; } svg .grid { stroke: #ddd; }
svg rect.isolated { fill: #0072b2; } svg rect.cumulative { fill: #e69f00; } svg rect.zero { fill: #999; }
svg rect.unknown { fill-opacity: .35; } svg rect.marked { fill: #fbe9dd; }
svg .mark-bits { fill: #000; } svg .mark-own { fill: #009e73; } svg .mark-cause { fill: #d55e00; }
dl { display: grid; grid-template-columns: 8em 1fr; gap: 3px 12px; font-size: 13px; max-width: 70em; }
dt { font-weight: 600; } dd { margin: 0; }
@page { size: A4 landscape; margin: 11mm; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } .layers { font-size: 9px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } thead { display: table-header-group; } }
"""
