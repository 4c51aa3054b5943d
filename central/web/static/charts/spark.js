// One small line without axes: {offset, series: [{name, colour, unit, points: [[ms, value], ...]}]}
import { amount, clock, colour, frame, full, tip } from "./base.js";

export function spark(data) {
  const base = frame();
  const hours = clock(data.offset);
  const [series] = data.series;
  const told = series.points.filter((point) => point[1] !== null).map((point) => point[1]);
  const edge = (Math.max(...told) - Math.min(...told)) * 0.15 || 1;
  return {
    ...base,
    grid: { left: 0, right: 0, top: 6, bottom: 2 },
    legend: { show: false },
    tooltip: { ...base.tooltip, formatter: ([item]) => tip(full(hours.from(item.value[0])), [[item.color, series.name, amount(item.value[1], series.unit)]]) },
    xAxis: { type: "time", show: false },
    yAxis: { type: "value", show: false, min: Math.min(...told) - edge, max: Math.max(...told) + edge },
    series: [{
      type: "line", name: series.name, showSymbol: told.length < 3, symbolSize: 5, connectNulls: false, lineStyle: { width: 1.6 },
      itemStyle: { color: colour(series.colour) }, areaStyle: { opacity: 0.14, origin: "start" }, data: series.points.map(([at, value]) => [hours.to(at), value]),
    }],
  };
}
