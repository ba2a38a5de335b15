"use strict";
// Shows the snapshots that /events sends, as they come. Everything is written as text, never as
// markup, so no name can become part of the page. Rows are kept by their keys and only what changed
// in them is touched: selections and focus stay where they are.
const byId = (id) => document.getElementById(id);
const number = (value) => Number(value || 0);  // int64 comes as text
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};
const setClass = (element, name) => {
  if (element.className !== name) element.className = name;
};
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : word.endsWith("h") ? "es" : "s"}`;

// --- Quantities

const duration = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
};
const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const nanos = (ns) => {
  if (ns < 1e3) return `${digits(ns)} ns`;
  if (ns < 1e6) return `${digits(ns / 1e3)} \u00b5s`;
  if (ns < 1e9) return `${digits(ns / 1e6)} ms`;
  return `${digits(ns / 1e9)} s`;
};
const percent = (share) => (share === 0 ? "0 %" : share < 0.01 ? "< 1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);

// --- Rows that stay

// Makes the children of `parent` those of `items`, in their order: old ones by their key.
const keep = (parent, items, keyOf, create, update) => {
  const old = new Map();
  for (const child of parent.children) old.set(child.dataset.key, child);
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = old.get(key);
    old.delete(key);
    if (element === undefined) {
      element = create(item);
      element.dataset.key = key;
    }
    update(element, item);
    if (element === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(element, place);
    }
  }
  for (const left of old.values()) left.remove();
};
const cell = (label, className = "") => {
  const element = make("td", { className });
  element.dataset.label = label;
  return element;
};
// A text, and smaller ones below it.
const setLines = (element, first, ...smaller) => {
  const want = smaller.filter((line) => line.text);
  const now = JSON.stringify([first, want]);
  if (element.lines === now) return;
  element.lines = now;
  element.replaceChildren(first, ...want.map((line) =>
    make("small", { className: line.className || "" }, ...withCode(line.text))));
};
// What stands between `backticks` is to be typed.
const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? make("code", { textContent: part }) : part));

// --- Time: the tracker's clock, as far as this page knows it

let ahead = 0;
const nowMs = () => Date.now() + ahead;
const tickers = new Map();  // element -> what it shows of the time
const showTime = (element, text) => {
  tickers.set(element, text);
  setText(element, text());
};
setInterval(() => {
  for (const [element, text] of tickers) {
    if (element.isConnected) setText(element, text());
    else tickers.delete(element);
  }
}, 1000);

// --- Sections

const kStates = ["lost", "unknown", "quarantined", "draining", "busy", "ready"];
const stateWord = (info) => {
  const state = (info.state || "").toLowerCase();
  return kStates.includes(state) ? state : "unknown";
};

const showNumbers = (snapshot) => {
  const totals = snapshot.totals || {};
  const counts = snapshot.devicesByState || {};
  const all = Object.values(counts).reduce((sum, n) => sum + number(n), 0);
  const kinds = totals.measurements || {};
  const measured = Object.values(kinds).reduce((sum, n) => sum + number(n), 0);
  const working = number(counts.ready) + number(counts.busy);
  const jobs = snapshot.jobsByPhase || {};
  const tiles = [
    ["devices", `${working.toLocaleString("en")} of ${all.toLocaleString("en")}`, "take work"],
    ["jobs", number(jobs.running).toLocaleString("en"), `tuned now, ${number(jobs.queued).toLocaleString("en")} wait`],
    ["running", number(snapshot.runningBatches).toLocaleString("en"), "batches on devices"],
    ["waiting", number(snapshot.queuedBatches).toLocaleString("en"), "batches in the queue"],
    ["measured", measured.toLocaleString("en"), measured ? `${percent(number(kinds.ok) / measured)} ran and were right` : "candidates"],
    ["speed", rate(snapshot.unixMs, measured), "candidates a minute"],
  ];
  keep(byId("numbers"), tiles, (tile) => tile[0],
    (tile) => make("div", {}, make("dt", { textContent: tile[0] }), make("dd")),
    (element, tile) => setLines(element.lastChild, tile[1], { text: tile[2] }));
};

// Measured a minute, over the snapshots of the last minute.
const seen = [];
const rate = (unixMs, measured) => {
  const now = number(unixMs);
  seen.push([now, measured]);
  while (seen.length > 1 && (seen[0][0] < now - 60000 || seen[0][1] > measured)) seen.shift();
  const ms = now - seen[0][0];
  return ms < 3000 ? "\u2013" : Math.round((measured - seen[0][1]) * 60000 / ms).toLocaleString("en");
};

const showStates = (counts) => {
  const present = kStates.filter((state) => number(counts[state]) > 0).reverse();
  const bar = byId("states");
  bar.hidden = present.length === 0;
  const text = present.map((state) => `${number(counts[state])} ${state}`).join(", ");
  bar.setAttribute("aria-label", text);
  setText(byId("devices-note"), text);
  keep(bar, present, (state) => state, (state) => make("i", { className: state, title: state }),
    (element, state) => { element.style.flexGrow = number(counts[state]); });
};

const deviceRow = () => make("tr", {},
  make("th", { scope: "row" }), cell("", "state"), cell("since", "n"), cell(""),
  cell("measures", "work"), cell("lease", "n"));

const showDevice = (row, entry) => {
  const info = entry.info || {};
  const state = stateWord(info);
  const [name, pill, since, why, work, lease] = row.children;
  const target = / cpu=(\S+).* cores=(\d+)/.exec(info.target || "");
  setLines(name, info.name || "?", { text: target ? `${target[1]}, ${plural(Number(target[2]), "core")}` : "" });
  if (pill.state !== state) {
    if (pill.state !== undefined) {
      row.classList.remove("news");
      void row.offsetWidth;  // so that it is shown again
      row.classList.add("news");
    }
    pill.state = state;
    pill.replaceChildren(make("span", { className: `pill ${state}`, textContent: state }));
  }
  const sinceMs = number(entry.sinceUnixMs);
  showTime(since, () => (sinceMs ? duration(nowMs() - sinceMs) : ""));
  setLines(why, entry.why || "", { text: entry.nextStep, className: "next" });
  const attempts = entry.attempts || [];
  const first = attempts[0] || {};
  setLines(work, first.workload || (attempts.length ? "a batch of an earlier life of the tracker" : ""),
    { text: attempts.length ? [first.candidates ? plural(first.candidates, "candidate") : "", first.user ? `for ${first.user}` : "",
      attempts.length > 1 ? `${attempts.length - 1} more ahead` : ""].filter((x) => x).join(", ") : "" });
  const left = number(entry.leaseMsLeft);
  const epoch = number(info.epoch);
  const ends = snapshotMs + left;
  if (left > 0) {
    showTime(lease, () => `epoch ${epoch}, ${duration(ends - nowMs())}`);
  } else {
    showTime(lease, () => (epoch ? `none (was ${epoch})` : "none"));
  }
};

const showDevices = (snapshot) => {
  const devices = (snapshot.devices || []).slice();
  const order = (entry) => kStates.indexOf(stateWord(entry.info || {}));
  devices.sort((a, b) => order(a) - order(b) || (a.info.name || "").localeCompare(b.info.name || "", "en", { numeric: true }));
  keep(byId("device-rows"), devices, (entry) => entry.info.name || "", deviceRow, showDevice);
  byId("no-devices").hidden = devices.length > 0;
  byId("device-rows").closest(".panel").hidden = devices.length === 0;
  showStates(snapshot.devicesByState || {});
};

const queueRow = () => make("tr", {}, make("th", { scope: "row" }), cell("wants"), cell("batches", "n"),
  cell("priority", "n"), cell("waiting", "n"), cell("why"));

const showQueue = (snapshot) => {
  const queue = snapshot.queue || [];
  keep(byId("queue-rows"), queue, (entry) => JSON.stringify([entry.user, entry.selector, entry.target]), queueRow,
    (row, entry) => {
      const [user, wants, batches, priority, waiting, why] = row.children;
      setText(user, entry.user || "\u2013");
      setLines(wants, entry.selector || "any such device", { text: entry.target });
      setText(batches, number(entry.batches).toLocaleString("en"));
      setText(priority, String(entry.priority || 0));
      const began = snapshotMs - number(entry.waitingMs);
      showTime(waiting, () => duration(nowMs() - began));
      setText(why, entry.why || "");
    });
  byId("queue").hidden = queue.length === 0;
  byId("no-queue").hidden = queue.length > 0;
  setText(byId("queue-note"), queue.length ? `${plural(number(snapshot.queuedBatches), "batch")} of ${plural(new Set(queue.map((e) => e.user)).size, "user")}` : "");
};

const barCell = (label) => {
  const element = cell(label);
  element.append(make("span"), make("span", { className: "bar" }, make("i")));
  return element;
};
const setBar = (element, text, share, className = "bar") => {
  const [words, bar] = element.children;
  setText(words, text);
  setClass(bar, className);
  bar.firstChild.style.width = `${(100 * share).toFixed(2)}%`;
};
const ofLimit = (value, limit) => (number(limit) ? `${number(value)} of ${number(limit)}` : String(number(value)));

const showUsers = (snapshot) => {
  const users = snapshot.users || [];
  const all = users.reduce((sum, user) => sum + number(user.deviceMs), 0);
  keep(byId("user-rows"), users, (user) => user.user || "",
    () => make("tr", {}, make("th", { scope: "row" }), barCell("device time"), cell("weight", "n"), cell("devices", "n"),
      cell("running", "n"), cell("waiting", "n")),
    (row, user) => {
      const share = all > 0 ? number(user.deviceMs) / all : 0;
      const [name, time, weight, devices, running, waiting] = row.children;
      setText(name, user.user || "\u2013");
      setBar(time, `${duration(number(user.deviceMs))} \u00b7 ${percent(share)}`, share);
      setText(weight, String(user.weight || 1));
      setText(devices, ofLimit(user.devices, user.devicesMax));
      setText(running, String(number(user.running)));
      setText(waiting, number(user.waiting).toLocaleString("en"));
    });
  byId("users").hidden = users.length === 0;
  byId("no-users").hidden = users.length > 0;
};

const kKinds = { ok: "ran, and right", compile_error: "did not compile", crash: "crashed", timeout: "took too long",
  incorrect: "wrong numbers", out_of_memory: "out of memory", not_quiet: "device not quiet",
  device_lost: "device lost", cancelled: "cancelled", infra: "our own machinery",
  forbidden: "tried what is forbidden", forged: "not what it claims" };

const showKinds = (snapshot) => {
  const kinds = Object.entries((snapshot.totals || {}).measurements || {}).map(([kind, n]) => [kind, number(n)]);
  kinds.sort((a, b) => (b[0] === "ok") - (a[0] === "ok") || b[1] - a[1]);
  const all = kinds.reduce((sum, kind) => sum + kind[1], 0);
  keep(byId("kind-rows"), kinds, (kind) => kind[0],
    () => make("tr", {}, make("th", { scope: "row" }), cell("number", "n"), barCell("share")),
    (row, [kind, n]) => {
      setText(row.children[0], kKinds[kind] || kind);
      setText(row.children[1], n.toLocaleString("en"));
      setBar(row.children[2], percent(n / all), n / all, kind === "ok" ? "bar ok" : "bar failed");
    });
  byId("kinds").hidden = kinds.length === 0;
  byId("no-kinds").hidden = kinds.length > 0;
};

// --- Jobs

const kPhases = { JOB_QUEUED: "queued", JOB_RUNNING: "running", JOB_DONE: "done", JOB_FAILED: "failed", JOB_CANCELLED: "cancelled" };

// Time of the measured kernels over the time of tuning; both ends are said in words beside it.
const jobChart = (entry) => {
  const width = 132, height = 38;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const points = entry.points || [];
  const most = Math.max(...points.map((point) => number(point.savedNs)), 0);
  const end = Math.max(points.length ? number(points[points.length - 1].elapsedS) : 0, 1e-9);
  if (most <= 0) return svg;
  const x = (s) => (2 + (width - 8) * Math.min(1, s / end)).toFixed(1);
  const y = (saved) => (4 + (height - 8) * Math.max(0, saved) / most).toFixed(1);
  let path = `M${x(0)} ${y(0)}`;
  for (const point of points) path += `H${x(number(point.elapsedS))}V${y(number(point.savedNs))}`;
  const last = points[points.length - 1];
  svg.append(
    draw("path", { class: "under", d: `${path}V${height - 1}H${x(0)}Z` }),
    draw("path", { class: "steps", d: path }),
    draw("circle", { class: "last", cx: x(number(last.elapsedS)), cy: y(number(last.savedNs)), r: 3.5 }));
  return svg;
};

const jobRow = () => make("tr", {}, make("th", { scope: "row" }), cell("", "state"), barCell("how far"),
  make("td", { className: "gained" }, make("span"), make("div")), cell("why"));

const showJob = (row, entry) => {
  const job = entry.job || {};
  const spec = job.spec || {};
  const progress = job.progress || {};
  const [name, state, far, gained, why] = row.children;
  setLines(name, `${number(job.id)} \u00b7 ${spec.model || "a kernel"}`, { text: [spec.user && `for ${spec.user}`, spec.numerics,
    spec.device && `on ${spec.device}`].filter((x) => x).join(" \u00b7 ") });
  const phase = kPhases[job.phase] || "unknown";
  if (state.phase !== phase) {
    state.phase = phase;
    state.replaceChildren(make("span", { className: `pill ${phase}`, textContent: phase }));
  }
  const kernels = number(entry.kernels), done = number(entry.kernelsDone);
  const elapsed = number(progress.elapsedS), limit = number(progress.elapsedMaxS) || 60 * number(spec.minutes);
  const share = phase === "done" ? 1 : Math.max(kernels ? done / kernels : 0, limit ? Math.min(1, elapsed / limit) : 0);
  setBar(far, kernels ? `${done} of ${plural(kernels, "kernel")}` : "\u2013", share, phase === "failed" ? "bar failed" : phase === "done" ? "bar ok" : "bar");
  const trials = [number(progress.trials) ? plural(number(progress.trials), "trial") : "", number(entry.failures) ? `${number(entry.failures)} failed` : "",
    elapsed ? `${duration(1000 * elapsed)}${limit ? ` of ${duration(1000 * limit)}` : ""}` : ""].filter((x) => x).join(", ");
  if (far.children.length === 2) far.append(make("small"));
  setText(far.lastChild, trials);
  const before = number(entry.defaultNs), now = number(entry.bestNs);
  setLines(gained.firstChild, now ? `${(before / now).toFixed(2)}\u00d7` : "\u2013",
    { text: now ? `${nanos(before)} \u2192 ${nanos(now)}${number(entry.kernelsMeasured) < kernels ? ` in ${number(entry.kernelsMeasured)} kernels` : ""}` : "" });
  const drawn = JSON.stringify(entry.points || []);
  if (gained.drawn !== drawn) {
    gained.drawn = drawn;
    gained.lastChild.replaceChildren(jobChart(entry));
  }
  setLines(why, job.reason || (phase === "running" ? "it is tuned" : ""), { text: job.daemon ? `by ${job.daemon}${job.attempts > 1 ? `, attempt ${job.attempts}` : ""}` : "" });
};

const showJobs = (snapshot) => {
  const jobs = snapshot.jobs || [];
  keep(byId("job-rows"), jobs, (entry) => String((entry.job || {}).id), jobRow, showJob);
  byId("jobs").hidden = jobs.length === 0;
  byId("no-jobs").hidden = jobs.length > 0;
  const counts = snapshot.jobsByPhase || {};
  setText(byId("jobs-note"), Object.values(kPhases).filter((phase) => number(counts[phase])).map((phase) => `${number(counts[phase]).toLocaleString("en")} ${phase}`).join(", "));
};

const showBuilders = (snapshot) => {
  const builders = snapshot.builders || [];
  keep(byId("builder-rows"), builders, (builder) => builder.name || "",
    () => make("tr", {}, make("th", { scope: "row" }), barCell("compiles"), cell("version"), cell("heard of", "n")),
    (row, builder) => {
      const building = number(builder.building), capacity = number(builder.capacity);
      setText(row.children[0], builder.name || "?");
      setBar(row.children[1], `${building} of ${capacity} at a time`, capacity ? Math.min(1, building / capacity) : 0);
      const version = builder.version || {};
      setText(row.children[2], `${version.toolVersion || "?"}, code ${number(version.codegenEpoch)}`);
      const heardMs = snapshotMs - number(builder.silentMs);
      showTime(row.children[3], () => `${duration(nowMs() - heardMs)} ago`);
    });
  byId("builders").hidden = builders.length === 0;
  byId("no-builders").hidden = builders.length > 0;
  setText(byId("builders-note"), builders.length ? `${plural(number(snapshot.queuedBuilds), "build")} wait` : "");
  const daemons = snapshot.daemons || [];
  keep(byId("daemon-rows"), daemons, (daemon) => daemon.name || "",
    () => make("tr", {}, make("th", { scope: "row" }), barCell("jobs"), cell("heard of", "n")),
    (row, daemon) => {
      setText(row.children[0], daemon.name || "?");
      const jobs = number(daemon.jobs), most = number(daemon.jobsMax);
      setBar(row.children[1], `${jobs} of ${most} at a time`, most ? Math.min(1, jobs / most) : 0);
      const heardMs = snapshotMs - number(daemon.silenceMs);
      showTime(row.children[2], () => `${duration(nowMs() - heardMs)} ago`);
    });
  byId("daemons").hidden = daemons.length === 0;
  byId("no-daemons").hidden = daemons.length > 0;
};

// --- Curves: the best time so far (log) over the candidates measured

const kSvg = "http://www.w3.org/2000/svg";
const draw = (tag, attributes, text = "") => {
  const element = document.createElementNS(kSvg, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
};

const curveChart = (curve) => {
  const width = 300, height = 110, left = 4, right = 296, top = 16, bottom = 92;
  const points = curve.points || [];
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const measured = number(curve.measured);
  if (points.length === 0) {
    svg.setAttribute("aria-label", "no candidate ran yet");
    svg.append(draw("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "no candidate ran yet"));
    return svg;
  }
  const best = points[points.length - 1].bestNs, first = points[0].bestNs;
  const low = Math.log(best), high = Math.max(Math.log(first), low + 0.05);
  const x = (n) => left + (right - left) * (measured > 1 ? (n - 1) / (measured - 1) : 0);
  const y = (ns) => bottom - (bottom - top - 6) * (Math.log(ns) - low) / (high - low) - 3;
  let path = "";
  let before = null;
  for (const point of points) {
    const px = x(number(point.measured)).toFixed(1), py = y(point.bestNs).toFixed(1);
    path += before === null ? `M${px} ${py}` : `H${px}V${py}`;
    before = py;
  }
  path += `H${right}`;
  svg.setAttribute("aria-label", `best time over ${measured} candidates, from ${nanos(first)} to ${nanos(best)}`);
  svg.append(
    draw("line", { class: "grid", x1: left, x2: right, y1: bottom, y2: bottom }),
    draw("path", { class: "under", d: `${path}V${bottom}H${x(number(points[0].measured)).toFixed(1)}Z` }),
    draw("path", { class: "steps", d: path }),
    draw("circle", { class: "last", cx: right - 2, cy: y(best).toFixed(1), r: 4 }),
    draw("text", { x: left, y: height - 4 }, "1"),
    draw("text", { x: right, y: height - 4, "text-anchor": "end" }, `${measured.toLocaleString("en")} measured`),
    draw("text", { x: Math.min(x(number(points[0].measured)) + 4, right - 60), y: 11 }, nanos(first)));
  return svg;
};

const showCurves = (snapshot) => {
  const curves = snapshot.curves || [];
  keep(byId("curves"), curves, (curve) => JSON.stringify([curve.workloadKey, curve.target, curve.numerics]),
    () => make("li", {}, make("h3"), make("div", {}, make("span", { className: "best" }), make("span", { className: "gain" })),
      make("div"), make("p"), make("p")),
    (item, curve) => {
      const [title, value, chart, about, when] = item.children;
      setText(title, curve.workload || (curve.workloadKey || "").slice(0, 12));
      const points = curve.points || [];
      const best = points.length ? points[points.length - 1].bestNs : 0;
      setText(value.firstChild, best ? nanos(best) : "\u2013");
      const gain = best ? points[0].bestNs / best : 1;
      setText(value.lastChild, gain > 1.005 ? `${gain.toFixed(2)}\u00d7 as fast` : "");
      value.lastChild.title = "as its first candidate that ran";
      const now = `${curve.measured} ${points.length} ${best}`;
      if (chart.drawn !== now) {
        chart.drawn = now;
        chart.replaceChildren(curveChart(curve));
      }
      setText(about, [curve.target, curve.numerics, curve.user && `for ${curve.user}`, curve.device && `on ${curve.device}`,
        number(curve.failed) ? `${number(curve.failed)} failed` : ""].filter((x) => x).join(" \u00b7 "));
      const latest = number(curve.latestUnixMs);
      showTime(when, () => (nowMs() - latest < 15000 ? "being measured now" : `last measured ${duration(nowMs() - latest)} ago`));
    });
  byId("no-curves").hidden = curves.length > 0;
  setText(byId("curves-note"), curves.length ? "best time so far over candidates measured, since the tracker was started" : "");
};

// --- The whole

let snapshotMs = 0;
const show = (snapshot) => {
  snapshotMs = number(snapshot.unixMs);
  ahead = snapshotMs - Date.now();
  const tracker = snapshot.tracker || {};
  const started = number(tracker.startedUnixMs);
  showTime(byId("about"), () => `hone-tracker ${tracker.version || "?"}, up ${duration(nowMs() - started)}, ${plural(number(tracker.agentsConnected), "agent")} connected`);
  const trouble = byId("trouble");
  trouble.hidden = Boolean(tracker.serving);
  setText(trouble, tracker.serving ? "" : `The tracker is not serving: ${tracker.trouble || "no reason given"}`);
  const conflicts = tracker.nameConflicts || [];
  byId("conflicts").hidden = conflicts.length === 0;
  setText(byId("conflicts"), conflicts.length ? `Two agents have one name: ${conflicts.join(", ")}. Give one of them another (hone-agent --name).` : "");
  showNumbers(snapshot);
  showDevices(snapshot);
  showJobs(snapshot);
  showCurves(snapshot);
  showBuilders(snapshot);
  showQueue(snapshot);
  showUsers(snapshot);
  showKinds(snapshot);
};

const setLink = (state, text) => {
  setClass(byId("link"), `link ${state}`);
  setText(byId("link"), text);
};

// A browser comes back by itself after a lost connection, but not after a refusal.
const listen = () => {
  const source = new EventSource("/events");
  source.onmessage = (event) => {
    setLink("live", "live");
    show(JSON.parse(event.data));
  };
  source.onerror = () => {
    setLink("lost", "the tracker does not answer; trying again");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
};
listen();
