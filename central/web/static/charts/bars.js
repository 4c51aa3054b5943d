// Stacked or grouped bars over days, months or posts: {unit, labels, notes, series: [{name, colour, values, open}], stacked, totals}
import { amount, categoryAxis, colour, frame, tip, valueAxis } from "./base.js";

export function bars(data) {
  const base = frame();
  const total = (index) => data.series.reduce((sum, series) => sum + (series.values[index] ?? 0), 0);
  return {
    ...base,
    legend: { ...base.legend, show: data.series.length > 1, data: data.series.map((series) => series.name) },
    grid: { ...base.grid, top: data.series.length > 1 ? 48 : 28 },
    tooltip: {
      ...base.tooltip,
      axisPointer: { type: "shadow", shadowStyle: { color: colour("grid"), opacity: 0.5 } },
      formatter(items) {
        const index = items[0].dataIndex;
        const rows = items.filter((item) => item.value !== null && item.value !== undefined)
          .map((item) => [item.color, item.seriesName, amount(item.value.value ?? item.value, data.unit) + (data.series[item.seriesIndex].when?.[index] ? ` · ${data.series[item.seriesIndex].when[index]}` : "")]);
        if (data.stacked && rows.length > 1) rows.push(["transparent", data.totalLabel, amount(total(index), data.unit)]);
        return tip(data.tips?.[index] ?? data.labels[index], rows, data.notes?.[index] ?? "");
      },
    },
    xAxis: categoryAxis(data.labels),
    yAxis: valueAxis(data.unit),
    series: data.series.map((series, at) => ({
      type: "bar", name: series.name, stack: data.stacked ? "all" : undefined, barMaxWidth: data.stacked ? 56 : 26, barGap: "12%",
      itemStyle: { color: colour(series.colour), borderRadius: data.stacked && at < data.series.length - 1 ? 0 : [3, 3, 0, 0] },
      emphasis: { focus: "series" },
      data: series.values.map((value, index) => (data.partial?.[index] ? { value, itemStyle: { opacity: 0.55 } } : value)),
    })),
  };
}
