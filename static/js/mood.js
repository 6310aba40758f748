// Draws a persona's mood. The figures come from the page's own JSON and stand in its table too.
const data = JSON.parse(document.getElementById("mood-data")?.textContent ?? "null");
const charts = [];

// The colours are the stylesheet's, resolved for the scheme that is shown now.
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const EMOTIONS = {
  joy: ["accent", []], sadness: ["info", []], anger: ["bad", []], fear: ["ink-3", []],
  surprise: ["warn", []], disgust: ["bad", [6, 4]], trust: ["accent", [6, 4]], anticipation: ["warn", [6, 4]],
};

function draw() {
  charts.splice(0).forEach((chart) => chart.destroy());
  const [ink, line] = [colour("ink-2"), colour("line")];
  const axis = (more) => ({ grid: { color: line }, ticks: { color: ink }, ...more });
  const options = (y, legend) => ({
    animation: false, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
    plugins: { legend: { display: legend, labels: { color: ink, usePointStyle: true, boxWidth: 8, boxHeight: 8 } } },
    scales: { x: axis(), y: axis(y) },
  });
  const make = (name, config) => {
    const canvas = document.querySelector(`[data-chart="${name}"]`);
    if (canvas) charts.push(new Chart(canvas, config));
  };
  const series = (label, values, name, dash = []) => ({
    label, data: values, borderColor: colour(name), backgroundColor: colour(name), borderDash: dash,
    // Two share a colour: a dashed line and another mark tell them apart, in the legend too.
    pointStyle: dash.length ? "triangle" : "circle",
    borderWidth: 2, pointRadius: values.length > 60 ? 0 : 4, tension: 0,
  });
  make("trend", {
    type: "line",
    data: { labels: data.dates, datasets: [{
      ...series("Average mood", data.average, "accent"),
      pointStyle: data.dates.map((date) => (data.changes.includes(date) ? "rectRot" : "circle")),
      pointRadius: data.dates.map((date) => (data.changes.includes(date) ? 7 : data.dates.length > 60 ? 0 : 3)),
    }] },
    options: options({ min: -1, max: 1 }, false),
  });
  make("emotions", {
    type: "line",
    data: { labels: data.dates, datasets: Object.entries(data.emotions).map(([name, values]) => series(name, values, ...EMOTIONS[name])) },
    options: options({ min: 0 }, true),
  });
  const tones = ["bad", "bad", "ink-3", "accent", "accent"];
  make("labels", {
    type: "bar",
    data: { labels: Object.keys(data.labels).map((name) => name.replace("_", " ")), datasets: [{
      label: "Comments", data: Object.values(data.labels), backgroundColor: tones.map(colour) }] },
    options: { ...options({}, false), indexAxis: "y", scales: { x: axis({ min: 0, ticks: { color: ink, precision: 0 } }), y: axis() } },
  });
}

if (data && window.Chart) {
  draw();
  // Unfold switches light and dark by a class on <html>.
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
}
