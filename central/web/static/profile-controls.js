// Range, channel and unit of the profile chart: every change is a new source, so that only what is looked at is loaded.
import { redraw, reload } from "./charts/mount.js";

const form = document.querySelector("[data-profile-controls]");
if (form) {
  const chart = document.querySelector("[data-chart=profile]");
  const from = form.elements.from;
  const days = form.elements.days;
  const channel = form.elements.channel;
  const shift = (date, by) => new Date(Date.parse(`${date}T12:00:00Z`) + by * 86400000).toISOString().slice(0, 10);

  const load = () => {
    const query = new URLSearchParams({ from: from.value, days: days.value, channel: channel.value });
    return reload(chart, `${form.action}?${query}`);
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    if (event.target.name === "show") {
      chart.dataset.show = event.target.value;
      redraw(chart);
    } else if (from.value) {
      load();
    }
  });
  for (const button of form.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      from.value = shift(from.value, Number(button.dataset.step) * Number(days.value));
      load();
    });
  }
  // a day of the calendar shows that day
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-day]");
    if (!chosen) return;
    from.value = chosen.dataset.day;
    days.value = "1";
    load();
    chart.scrollIntoView({ behavior: "smooth", block: "center" });
  });
}
