"use strict";
// Texts from the data enter the page by textContent only, so that they stay texts whatever they contain.

const PAGE = 60; // rows added at a time
const $ = (id) => document.getElementById(id);
const SPECS = JSON.parse($("specs").textContent);

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null));
  return element;
}

const scheme = matchMedia("(prefers-color-scheme: dark)");

function colour(role) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();
}

/** A copy of `value` in which names of roles ("series-1", "muted") are the colours of the reader's scheme. */
function painted(value) {
  if (typeof value === "string") return /^(series|drop)-\d+$|^muted$/.test(value) ? colour(value) : value;
  if (Array.isArray(value)) return value.map(painted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, key === "data" ? part : painted(part)]));
}

function chartConfig() {
  const quiet = colour("quiet");
  return {
    background: null,
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: {
      labelColor: quiet, titleColor: quiet, titleFontWeight: 400, titleFontSize: 12, labelFontSize: 12,
      gridColor: colour("grid"), domainColor: colour("muted"), tickColor: colour("muted"), tickCount: 6, labelPadding: 6, titlePadding: 8, labelFlush: false,
    },
    legend: {
      orient: "top", direction: "horizontal", labelColor: colour("ink"), titleColor: quiet, titleFontWeight: 400, titleFontSize: 12,
      labelFontSize: 12, symbolStrokeWidth: 3, columnPadding: 14, offset: 12, symbolType: "circle", symbolSize: 60, labelLimit: 400,
    },
    line: { strokeCap: "round" },
    rule: { color: colour("muted") },
    text: { color: colour("quiet"), font: getComputedStyle(document.body).fontFamily },
  };
}

/** Breaks a legend into as many columns as there is room for, where it does not fit into one line. */
function fitLegend(channel, width) {
  const widths = (channel?.legend && channel.scale.domain.map((name) => 6.6 * name.length + 34)) || [];
  if (widths.reduce((a, b) => a + b, 0) > width) channel.legend.columns = Math.max(1, Math.floor(width / Math.max(...widths)));
}

/** Draws each chart when it is about to come into view, and again when the reader's scheme changes. */
function drawCharts() {
  const drawn = new Map();
  const draw = async (place) => {
    const spec = painted(SPECS[place.dataset.chart]);
    for (const part of [spec, ...(spec.layer ?? [])]) fitLegend(part.encoding?.color, place.clientWidth - 60);
    const sized = { height: 250, ...spec, width: "container", autosize: { type: "fit-x", contains: "padding" } };
    const options = {
      actions: false, renderer: "svg", config: chartConfig(), tooltip: { theme: scheme.matches ? "dark" : "light" },
    };
    drawn.get(place)?.finalize();
    drawn.set(place, await vegaEmbed(place, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", ...sized }, options));
    place.dataset.drawn = "";
  };
  const seen = new IntersectionObserver((entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
      seen.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll("[data-chart]").forEach((place) => seen.observe(place));
  scheme.addEventListener("change", () => drawn.forEach((_, place) => draw(place)));
}

let DATA = null;
const state = { words: [], family: "", flags: new Set(), shown: 0, found: [] };

async function unpacked() {
  const bytes = Uint8Array.from(atob($("packed").textContent), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

/** What a search looks through: made when it is first needed. */
function haystack(q) {
  q.haystack ??= [q.id, DATA.problems[q.problem], q.question, ...q.options, ...q.samples.map((s) => s.text), ...q.programs.map((s) => s.text)].join("\n").toLowerCase();
  return q.haystack;
}

function matches(q) {
  if (state.family && q.family !== state.family) return false;
  for (const flag of state.flags) if (!q.flags.includes(flag)) return false;
  return state.words.every((word) => haystack(q).includes(word));
}

function update() {
  state.found = DATA.questions.filter(matches);
  state.shown = 0;
  $("list").replaceChildren();
  const [found, all] = [state.found.length, DATA.questions.length].map((n) => n.toLocaleString("en"));
  const here = $("limited") ? " shown here" : "";
  const right = state.found.filter((q) => !q.flags.includes("wrong")).length.toLocaleString("en");
  $("count").textContent = state.found.length ? `${found} of ${all} questions${here}, ${right} of them right` : `none of ${all} questions${here}`;
  showMore();
}

function showMore() {
  const next = state.found.slice(state.shown, state.shown + PAGE);
  $("list").append(...next.map(row));
  state.shown += next.length;
  $("more").hidden = state.shown >= state.found.length;
}

function row(q) {
  const right = q.given === q.truth;
  const sign = make("span", `sign ${right ? "ok" : "bad"}`, right ? "✓" : "✗");
  sign.setAttribute("role", "img");
  sign.setAttribute("aria-label", right ? "right" : "wrong");
  const title = make("span", "title", q.question);
  title.lang = "zh";
  const notes = q.flags.filter((flag) => flag !== "wrong").map((flag) => make("span", "", flag));
  const line = make("summary", "", sign, title, votes(q), make("span", "id", make("span", "", q.id), ...notes), bar(q));
  const details = make("details", "q", line);
  details.dataset.id = q.id;
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(body(q));
  });
  return details;
}

/** The letters with votes, in their order, each with how many reasonings and how many programs voted for it. */
function counts(q) {
  const letters = [...new Set([...Object.keys(q.votes), ...Object.keys(q.program_votes)])].sort();
  return letters.map((letter) => [letter, q.votes[letter] ?? 0, q.program_votes[letter] ?? 0]);
}

/** The votes of each letter, those of programs after a plus; the winner in bold, the right letter underlined. */
function votes(q) {
  const given = (letter) => `${letter === q.given ? "given" : ""} ${letter === q.truth ? "truth" : ""}`.trim();
  const letters = counts(q).map(([letter, n, programs]) => make("span", given(letter), `${letter} ${n}${programs ? `+${programs}` : ""}`));
  return make("span", "votes", ...(letters.length ? letters : [make("span", given(q.given), q.given)]));
}

function bar(q) {
  const voted = counts(q);
  const parts = voted.map(([letter, n, programs]) => {
    const part = make("i", letter === q.truth ? "truth" : "");
    part.style.flex = String(n + programs);
    return part;
  });
  parts.sort((a, b) => b.className.localeCompare(a.className));
  const rest = make("i", "none");
  rest.style.flex = String(q.samples.length + q.programs.length - voted.reduce((sum, [, n, programs]) => sum + n + programs, 0));
  const element = make("span", "bar", ...parts, rest);
  element.setAttribute("aria-hidden", "true");
  return element;
}

function body(q) {
  const left = make("div", "",
    make("h3", "", "Problem"), zh("p", "text", DATA.problems[q.problem]),
    make("h3", "", "Question"), zh("p", "text", q.question), options(q),
    make("h3", "", "Vote"), make("p", "text", decision(q)),
    make("h3", "", "Samples of the plain model"), plain(q),
    ...(q.examples.length ? [make("h3", "", "Retrieved examples, the most similar first")] : []), ...q.examples.map((n) => example(DATA.examples[n])));
  const programs = q.programs.length ? [make("h3", "", `Programs (${q.programs.length})`), ...q.programs.map((s) => program(q, s))] : [];
  const right = make("div", "", ...programs, make("h3", "", `Samples (${q.samples.length})`), ...q.samples.map((s) => sample(q, s)));
  return make("div", "body", left, right);
}

function zh(tag, className, text) {
  const element = make(tag, className, text);
  element.lang = "zh";
  return element;
}

function options(q) {
  const list = make("ol", "options");
  q.options.forEach((text, i) => {
    const letter = String.fromCharCode(65 + i);
    const classes = [letter === q.truth ? "truth" : "", letter === q.given ? "given" : "", letter === q.given && q.given !== q.truth ? "other" : ""];
    const notes = [letter === q.truth ? "right" : "", letter === q.given ? "handed in" : ""].filter(Boolean).join(", ");
    list.append(make("li", classes.join(" ").trim(), make("b", "", letter), zh("span", "", text), make("small", "", notes)));
  });
  return list;
}

function decision(q) {
  if (q.basis === "fallback") return `No sample has an answer${q.programs.some((s) => s.answer) ? " that votes" : ""}: the fallback letter ${q.given} is handed in.`;
  const [n, solved] = [q.votes, q.program_votes].map((votes) => Object.values(votes).reduce((a, b) => a + b, 0));
  const weighed = `${solved} program${solved === 1 ? "" : "s"} of weight ${$("list").dataset.weight}`;
  const reasoned = q.basis === "accepted" ? `${n} accepted sample${n === 1 ? "" : "s"}` : `all ${n} samples with an answer, because none was accepted`;
  const who = [...(n ? [reasoned] : []), ...(solved ? [weighed] : [])].join(" and ");
  const tally = Object.entries(q.tally).map(([letter, value]) => `${letter} ${Number.isInteger(value) ? value : value.toFixed(3)}`);
  const counted = { majority: "votes", weighted: "sums of scores", best: "best scores" }[$("list").dataset.vote] ?? $("list").dataset.vote;
  return `${tally.join(", ")} (${counted} of ${who})`;
}

function verdict(letter, truth) {
  if (letter === null) return make("span", "bad", "no answer");
  return make("span", letter === truth ? "ok" : "bad", `${letter} ${letter === truth ? "✓" : "✗"}`);
}

function plain(q) {
  const answers = q.plain.flatMap((letter) => [verdict(letter, q.truth), "  "]);
  return make("p", "text", ...answers);
}

/** What a model thought before its answer, folded. */
function thinking(s) {
  return s.thinking ? make("details", "thinking", make("summary", "", "thinking"), zh("p", "text", s.thinking)) : null;
}

/** The text of a sample with the letter of its answer marked. */
function sample(q, s) {
  const text = zh("p", "text", "");
  if (s.at === null) text.textContent = s.text;
  else text.append(s.text.slice(0, s.at), make("mark", "", s.text.slice(s.at, s.at + 1)), s.text.slice(s.at + 1));
  const answer = verdict(s.answer, q.truth);
  answer.classList.add("letter");
  const read = s.at === null ? "" : s.text.slice(s.at, s.at + 1).normalize("NFKC").toUpperCase();
  const meta = make("div", "meta",
    make("b", "", `slot ${s.slot}`), s.round ? make("span", "", `redraw ${s.round}`) : null,
    s.score === null ? null : make("span", "", `score ${s.score.toFixed(3)}`), make("span", "", s.accepted ? "accepted" : "rejected"),
    make("span", "", `${s.tokens} tokens${s.cut ? ", cut off" : ""}`),
    read && read !== s.answer ? make("span", "", `${read} in its own order of options`) : null, answer);
  return make("div", `sample${s.accepted ? "" : " rejected"}`, meta, thinking(s), text);
}

/** A program, what the solver said of it, and where its answer is another than that of the reasonings. */
function program(q, s) {
  const answer = s.answer === null ? make("span", "bad", "abstains") : verdict(s.answer, q.truth);
  answer.classList.add("letter");
  const differs = s.answer !== null && q.reasoned !== null && s.answer !== q.reasoned;
  const meta = make("div", "meta",
    make("b", "", `program slot ${s.slot}`), s.round ? make("span", "", `redraw ${s.round}`) : null,
    make("span", "", `${s.tokens} tokens`), answer);
  const why = s.answer === null ? make("p", "said", make("b", "", s.cause), s.detail ? `: ${s.detail}` : "") : null;
  const said = differs ? make("p", "said differs", `The reasonings' winner is ${q.reasoned}.`) : why;
  const text = zh("pre", "program", s.text);
  text.tabIndex = 0;
  return make("div", `sample${s.answer === null ? " rejected" : ""}`, meta, thinking(s), said, text);
}

function example(e) {
  const block = make("div", "", zh("p", "text", e.problem), zh("p", "text", e.question));
  const list = make("ol", "options");
  e.options.forEach((text, i) => {
    const letter = String.fromCharCode(65 + i);
    list.append(make("li", letter === e.answer ? "truth" : "", make("b", "", letter), zh("span", "", text), make("small", "", letter === e.answer ? "right" : "")));
  });
  block.append(list, make("h3", "", "Reasoning"), zh("p", "text", e.reasoning));
  return make("details", "example", zh("summary", "", e.question), block);
}

async function questions() {
  try {
    DATA = await unpacked();
  } catch (fault) {
    $("count").textContent = `The questions could not be unpacked (${fault.message}); a browser of 2023 or later can do it.`;
    return;
  }
  const search = $("search");
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      state.words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      update();
    }, 120);
  });
  $("family")?.addEventListener("change", (event) => {
    state.family = event.target.value;
    update();
  });
  document.querySelectorAll("[data-flag]").forEach((button) => button.addEventListener("click", () => {
    const flag = button.dataset.flag;
    if (!state.flags.delete(flag)) state.flags.add(flag);
    button.setAttribute("aria-pressed", String(state.flags.has(flag)));
    const pressed = [...document.querySelectorAll("[data-flag][aria-pressed=true]")];
    $("meaning").textContent = pressed.map((one) => `${one.dataset.flag}: ${one.title}`).join(" · ");
    $("meaning").hidden = !pressed.length;
    update();
  }));
  $("more").addEventListener("click", showMore);
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && state.shown) showMore();
  }, { rootMargin: "800px" }).observe($("more"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      search.focus();
    }
  });
  update();
}

if (innerWidth < 760) $("params").open = false; // on a phone they would fill the first screens
questions();
