// Maximum demands by billing period, a line per post; the open period has an open dot at the end of a dashed line:
// {labels, tips, open, unit, toDate, series: [{name, colour, values, when}]}
import { amount, categoryAxis, colour, frame, tip, valueAxis } from "./base.js";

export function maxima(data) {
  const base = frame();
  const last = data.open.lastIndexOf(false);
  const line = (series, points, extra) => ({
    type: "line", name: series.name, data: points, symbolSize: 11, connectNulls: false, itemStyle: { color: colour(series.colour) },
    emphasis: { disabled: true }, ...extra,
  });
  return {
    ...base,
    legend: { ...base.legend, icon: "circle", data: data.series.map((series) => series.name) },
    grid: { ...base.grid, top: 48, left: 12, right: 20 },
    tooltip: {
      ...base.tooltip,
      formatter(items) {
        const index = items[0].dataIndex;
        const rows = data.series.filter((series) => series.values[index] !== null)
          .map((series) => [colour(series.colour), series.name, amount(series.values[index], data.unit) + (series.when[index] ? ` · ${series.when[index]}` : "")]);
        return tip(data.tips[index], rows, data.open[index] ? data.toDate : "");
      },
    },
    xAxis: categoryAxis(data.labels, { boundaryGap: true }),
    yAxis: valueAxis(data.unit, { min: 0 }),
    series: [
      ...data.series.map((series) => line(series, series.values.map((value, index) => (data.open[index] ? null : value)), { symbol: "circle", lineStyle: { width: 2 } })),
      ...data.series.map((series) => line(
        series,
        series.values.map((value, index) => (data.open[index] ? { value, symbol: "circle", itemStyle: { color: colour("paper") } } : index === last && value !== null ? { value, symbol: "none" } : null)),
        { lineStyle: { width: 2, type: "dashed" }, itemStyle: { color: colour(series.colour), borderColor: colour(series.colour), borderWidth: 2.5 } },
      )),
    ],
  };
}
