// Load profile: one stepped area per post, gaps left open, quality as shaded bands that the legend can hide.
import { amount, clock, colour, frame, full, number, time, timeAxis, tip, unitName, valueAxis } from "./base.js";

const MISSING = 1;

// [start, end) of every run of intervals that carry `flag`
function runs(data, hours, flag) {
  const found = [];
  for (const block of data.blocks) {
    let from = null;
    block.flags.forEach((bits, index) => {
      const at = hours.to((block.start + index * block.step) * 1000);
      if (bits & flag) from ??= at;
      else if (from !== null) { found.push([from, at]); from = null; }
    });
    if (from !== null) found.push([from, hours.to((block.start + block.flags.length * block.step) * 1000)]);
  }
  return found;
}

// points of one post; the last interval before a change or gap gets its right edge, so that steps have their full width
function steps(data, hours, post, factor) {
  const points = [];
  for (const block of data.blocks) {
    let open = false;
    block.values.forEach((value, index) => {
      const at = hours.to((block.start + index * block.step) * 1000);
      if (value !== null && block.posts[index] === post) {
        points.push([at, value * factor(block), index]);
        open = true;
      } else if (open) {
        points.push([at, points.at(-1)[1]], [at, null]);
        open = false;
      }
    });
    const end = hours.to((block.start + block.values.length * block.step) * 1000);
    if (open) points.push([end, points.at(-1)[1]], [end, null]);
  }
  return points;
}

function intervalAt(data, ms) {
  const at = Math.floor(ms / 1000);
  for (const block of data.blocks) {
    const index = Math.floor((at - block.start) / block.step);
    if (index >= 0 && index < block.values.length) return { block, index };
  }
  return null;
}

export function profile(data, element) {
  const demand = element.dataset.show !== "energy";
  const unit = demand ? data.demandUnit : data.unit;
  const factor = (block) => (demand ? 3600 / block.step : 1);
  const base = frame();
  const hours = clock(data.offset);
  const narrow = element.clientWidth < 560;
  const areas = data.posts.map((post) => ({
    type: "line", step: "end", name: post.name, showSymbol: false, connectNulls: false, animation: false,
    itemStyle: { color: colour(`post-${post.post}`) }, lineStyle: { width: 1.4 }, areaStyle: { opacity: 0.22 },
    emphasis: { disabled: true }, data: steps(data, hours, post.post, factor),
  }));
  const bands = data.flags.map((flag) => ({
    type: "line", name: flag.name, data: [], showSymbol: false, itemStyle: { color: colour(`flag-${flag.flag}`) },
    markArea: {
      silent: true, itemStyle: { color: colour(`flag-${flag.flag}`) },
      data: runs(data, hours, flag.flag).map(([from, to]) => [{ xAxis: from }, { xAxis: to }]),
    },
  }));
  return {
    ...base,
    grid: { ...base.grid, top: narrow ? 58 : 52, bottom: 54 },
    tooltip: {
      ...base.tooltip,
      axisPointer: { type: "line", snap: false, lineStyle: { color: colour("axis"), opacity: 0.5 } },
      formatter(items) {
        const found = items.length && intervalAt(data, hours.from(items[0].axisValue));
        if (!found) return "";
        const { block, index } = found;
        const start = (block.start + index * block.step) * 1000;
        const title = `${full(start)}–${time(start + block.step * 1000)}`;
        const notes = data.flags.filter((flag) => block.flags[index] & flag.flag).map((flag) => flag.name).join(", ");
        const value = block.values[index];
        if (value === null) return tip(title, [[colour(`flag-${MISSING}`), notes || data.missing, "–"]]);
        const post = data.posts.find((each) => each.post === block.posts[index]);
        return tip(title, [
          [colour(`post-${block.posts[index]}`), post?.name ?? "", amount(value * factor(block), unit)],
          ["transparent", unitName(demand ? data.unit : data.demandUnit), number(demand ? value : value * (3600 / block.step), 3)],
        ], notes);
      },
    },
    xAxis: timeAxis(hours, { min: hours.to(data.from * 1000), max: hours.to(data.to * 1000) }),
    yAxis: valueAxis(unit, { min: 0 }),
    dataZoom: [
      { type: "inside", filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseMove: !narrow, preventDefaultMouseMove: false, minValueSpan: 4 * 900 * 1000 },
      {
        type: "slider", height: 26, bottom: 8, filterMode: "none", borderColor: "transparent", backgroundColor: colour("grid"), fillerColor: "rgba(43,127,195,.18)",
        handleStyle: { color: colour("paper"), borderColor: colour("axis") }, moveHandleSize: 0, showDetail: false, showDataShadow: false, brushSelect: false,
      },
    ],
    series: [...areas, ...bands],
  };
}
