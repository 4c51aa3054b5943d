// Lines over time: {unit, series: [{name, colour, unit, axis, points: [[ms, value], ...]}], units}
import { amount, clock, colour, frame, full, timeAxis, tip, valueAxis } from "./base.js";

export function lines(data) {
  const base = frame();
  const hours = clock(data.offset);
  const units = [...new Set(data.series.map((series) => series.unit))];
  return {
    ...base,
    legend: { ...base.legend, show: data.series.length > 1 },
    grid: { ...base.grid, top: data.series.length > 1 ? 52 : 30 },
    tooltip: {
      ...base.tooltip,
      formatter: (items) => tip(full(hours.from(items[0].value[0])), items.map((item) => [item.color, item.seriesName, amount(item.value[1], data.series[item.seriesIndex].unit)])),
    },
    xAxis: timeAxis(hours),
    yAxis: units.slice(0, 2).map((unit, at) => valueAxis(unit, { scale: !data.zero, minInterval: unit ? undefined : 1, position: at ? "right" : "left", splitLine: { show: !at, lineStyle: { color: colour("grid") } }, nameTextStyle: { color: colour("axis"), align: at ? "right" : "left", fontSize: 11 } })),
    series: data.series.map((series) => ({
      type: "line", name: series.name, yAxisIndex: Math.max(0, units.indexOf(series.unit)), showSymbol: series.points.length < 3, symbolSize: 5,
      lineStyle: { width: 1.8 }, itemStyle: { color: colour(series.colour) }, areaStyle: data.series.length === 1 ? { opacity: 0.12 } : undefined,
      data: series.points.map(([at, value]) => [hours.to(at), value]), connectNulls: false,
    })),
  };
}
