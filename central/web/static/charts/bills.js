// Energies by billing period, stacked by post; of the open period what is still to come stands above, translucent:
// {labels, tips, open, unit, totalLabel, soFar, projected, series: [{name, colour, values, rest}]}
import { amount, categoryAxis, colour, frame, tip, valueAxis } from "./base.js";

const sum = (data, index, part) => data.series.reduce((all, series) => all + (part(series)[index] ?? 0), 0);

export function bills(data) {
  const base = frame();
  const values = (series) => series.values;
  const rest = (series) => series.rest;
  const bar = (series, points, style) => ({
    type: "bar", name: series.name, stack: "all", barMaxWidth: 72,
    itemStyle: { color: colour(series.colour), ...style }, emphasis: { focus: "none" }, data: points,
  });
  return {
    ...base,
    legend: { ...base.legend, data: data.series.map((series) => series.name) },
    grid: { ...base.grid, top: 48 },
    tooltip: {
      ...base.tooltip,
      axisPointer: { type: "shadow", shadowStyle: { color: colour("grid"), opacity: 0.5 } },
      formatter(items) {
        const index = items[0].dataIndex;
        const open = data.open[index];
        const words = (now, more) => (open && more !== null ? `${amount(now, data.unit)} → ${amount((now ?? 0) + more, data.unit)}` : amount(now, data.unit));
        const rows = data.series.map((series) => [colour(series.colour), series.name, words(series.values[index], series.rest[index])]);
        const projected = open && data.series.some((series) => series.rest[index] !== null);
        if (data.series.length > 1) rows.push(["transparent", data.totalLabel, words(sum(data, index, values), projected ? sum(data, index, rest) : null)]);
        return tip(data.tips[index], rows, projected ? `${data.soFar} → ${data.projected}` : open ? data.soFar : "");
      },
    },
    xAxis: categoryAxis(data.labels),
    yAxis: valueAxis(data.unit),
    series: [
      ...data.series.map((series) => bar(series, series.values, {})),
      ...data.series.map((series) => bar(series, series.rest.map((value) => value || null), { opacity: 0.32, borderColor: colour(series.colour), borderWidth: 1, borderType: "dashed" })),
    ],
  };
}
