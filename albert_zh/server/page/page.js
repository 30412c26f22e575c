// The page: one tab for each ability, built from the table ABILITIES. Text from outside enters as text nodes alone.
"use strict";

// ---------------------------------------------------------------------------------------------------------------------
// Small tools

let language = "en";

function say(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// make("p", {class: "x", hidden: true, onclick: f}, child, "text")
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function percent(probability) {
  return `${(probability * 100).toFixed(1)}%`;
}

// One line of a chart: name, bar, percent.
function bar(name, probability, best = false) {
  const filled = make("span", { class: "filled" });
  filled.style.width = percent(probability);
  const track = make("span", { class: "track", "aria-hidden": "true" }, filled);
  return make(
    "li",
    { class: best ? "bar best" : "bar" },
    make("span", { class: "name" }, name),
    track,
    make("span", { class: "percent" }, percent(probability)),
  );
}

function bars(rows) {
  return make("ul", { class: "bars" }, ...rows);
}

// The text with pieces marked; start and end count code points, as the server does, and not UTF-16 units.
function marked(text, pieces) {
  const characters = Array.from(text);
  const shown = make("p", { class: "marked" });
  let place = 0;
  for (const piece of pieces) {
    shown.append(characters.slice(place, piece.start).join(""));
    const inside = characters.slice(piece.start, piece.end).join("");
    const mark = make("mark", { class: `hue${piece.hue}` }, inside);
    if (piece.name) mark.append(make("span", { class: "tag" }, piece.name));
    shown.append(mark);
    place = piece.end;
  }
  shown.append(characters.slice(place).join(""));
  return shown;
}

// ---------------------------------------------------------------------------------------------------------------------
// What can be asked

function labelled(row) {
  return row.name && row.name !== row.label ? `${row.name} (${row.label})` : row.label;
}

const ABILITIES = [
  {
    name: "similarity",
    command: "albert-zh finetune --task_name=lcqmc …",
    fields: () => ["first", "second"],
    request: (values) => ({ pairs: [[values.first, values.second]] }),
    show: (answer) => [make("p", {}, say("same")), bars([bar(say("same"), answer.probability, true)])],
    examples: [
      { first: "我喜欢妈妈做的汤", second: "妈妈做的汤我很喜欢喝" },
      { first: "怎么开通手机银行", second: "手机银行如何开通" },
      { first: "明天北京天气怎么样", second: "北京有什么好吃的" },
    ],
  },
  {
    name: "classify",
    command: "albert-zh finetune --task_name=tnews …",
    fields: (model) => (model && model.kind === "pair" ? ["first", "second"] : ["text"]),
    request: (values) => ("text" in values ? { texts: [values.text] } : { pairs: [[values.first, values.second]] }),
    show: (answer) => {
      if (answer.label === undefined || answer.label === null) {
        return [make("p", { class: "large" }, `${say("value")} ${answer.value.toPrecision(5)}`)];
      }
      const rows = [...answer.probabilities].sort((one, other) => other.probability - one.probability);
      const drawn = rows.map((row, place) => bar(labelled(row), row.probability, place === 0));
      if (rows.length <= 6) return [bars(drawn)];
      const summary = make("summary", {}, say("all", { count: rows.length }));
      return [bars(drawn.slice(0, 5)), make("details", {}, summary, bars(drawn.slice(5)))];
    },
    examples: [
      { text: "国足今晚客场挑战对手，主帅赛前表示有信心", first: "花呗怎么还款", second: "怎么还花呗的钱" },
      { text: "央行宣布下调存款准备金率", first: "今天股市怎么样", second: "明天会下雨吗" },
    ],
  },
  {
    name: "entities",
    command: "albert-zh finetune --task_name=cluener …",
    fields: () => ["text"],
    request: (values) => ({ texts: [values.text] }),
    show: (answer, values) => {
      if (!answer.entities.length) return [make("p", {}, say("none"))];
      const types = [...new Set(answer.entities.map((entity) => entity.type))];
      const hues = new Map(types.map((type, place) => [type, place % 6]));
      const pieces = answer.entities.map((entity) => ({ ...entity, hue: hues.get(entity.type) }));
      const listed = answer.entities.map((entity) => {
        const places = say("places", { start: entity.start, end: entity.end });
        const row = bar(`${entity.text} · ${entity.name}`, entity.probability);
        row.setAttribute("title", places);
        return row;
      });
      return [marked(values.text, pieces), bars(listed)];
    },
    examples: [
      { text: "李明在北京大学读书，毕业后去了腾讯公司。" },
      { text: "😀 昨天王芳在上海看了电影《流浪地球》。" },
    ],
  },
  {
    name: "fill-mask",
    command: "albert-zh serve albert_tiny_zh",
    pretrained: true,
    fields: () => ["text"],
    request: (values) => ({ texts: [values.text], top_k: 5 }),
    show: (answer) =>
      answer.blanks.flatMap((candidates, place) => [
        make("h3", {}, say("blank", { number: place + 1 })),
        bars(candidates.map((candidate, rank) => bar(candidate.text, candidate.probability, rank === 0))),
      ]),
    examples: [{ text: "今天[MASK]气很好" }, { text: "中国的首都是[MASK][MASK]" }],
  },
  {
    name: "answer",
    command: "albert-zh finetune --task_name=cmrc2018 …",
    fields: () => ["passage", "question"],
    request: (values) => ({ questions: [{ passage: values.passage, question: values.question }] }),
    show: (answer, values) => {
      if (!answer.text) {
        return [make("p", { class: "large" }, say("unanswered")), bars([bar(say("unanswered"), answer.probability)])];
      }
      const piece = { start: answer.start, end: answer.end, hue: 0 };
      return [bars([bar(answer.text, answer.probability, true)]), marked(values.passage, [piece])];
    },
    examples: [
      {
        passage: "长江发源于青藏高原的唐古拉山脉，全长约6300公里，在上海市注入东海，是亚洲第一长河。",
        question: "长江在哪里注入东海？",
      },
      { passage: "🌸 武汉大学的樱花每年三月开放，吸引许多游客前来观赏。", question: "樱花什么时候开放？" },
    ],
  },
];

// The field of the form that a field of the request, such as pairs[0][1], was made from.
const FIELDS = [
  [/^pairs\[0\]\[0\]/, "first"],
  [/^pairs\[0\]\[1\]/, "second"],
  [/^texts\[0\]/, "text"],
  [/passage$/, "passage"],
  [/question$/, "question"],
];

// ---------------------------------------------------------------------------------------------------------------------
// A panel

let models = [];
let limits = { characters: Infinity };

class Panel {
  constructor(ability) {
    this.ability = ability;
    this.able = models.filter((model) => model.abilities.includes(ability.name));
    this.model = this.able[0];
    this.example = 0;
    this.values = { ...ability.examples[0] };
    this.asked = null; // the request under way
    this.told = null; // what was answered last
    this.element = make("section", {
      id: `panel-${ability.name}`,
      role: "tabpanel",
      "aria-labelledby": `tab-${ability.name}`,
    });
    this.draw();
  }

  draw() {
    const about = make("p", { class: "about" }, say(`${this.ability.name}-about`));
    if (!this.able.length) {
      const reason = say(this.ability.pretrained ? "missing-pretrained" : "missing");
      const command = make("pre", { tabindex: "0" }, make("code", {}, this.ability.command));
      this.element.replaceChildren(about, make("p", {}, reason), command);
      return;
    }
    this.inputs = {};
    const rows = this.ability.fields(this.model).map((name) => this.row(name));
    this.run = make("button", { type: "submit", class: "main" }, say(this.asked ? "asking" : "ask"));
    this.run.disabled = Boolean(this.asked);
    const more = make("button", { type: "button", onclick: () => this.another() }, say("example"));
    this.problem = make("p", { class: "problem", role: "alert" });
    this.result = make("div", { class: "result", "aria-live": "polite" });
    const hint = make("span", { class: "hint" }, say("hint"));
    const form = make(
      "form",
      { novalidate: true, onsubmit: (event) => this.ask(event) },
      this.choice(),
      ...rows,
      make("div", { class: "buttons" }, this.run, more, hint),
      this.problem,
    );
    this.element.replaceChildren(about, form, this.result);
    this.show();
  }

  choice() {
    if (this.able.length < 2) return null;
    const select = make("select", { id: `${this.ability.name}-model` });
    for (const model of this.able) {
      select.append(make("option", { value: model.name, selected: model === this.model }, model.name));
    }
    select.addEventListener("change", () => {
      this.model = this.able.find((model) => model.name === select.value);
      this.told = null;
      this.draw();
      this.element.querySelector("select").focus();
    });
    return make("div", { class: "row" }, make("label", { for: select.id }, say("model")), select);
  }

  row(name) {
    const id = `${this.ability.name}-${name}`;
    const tall = name === "passage" ? 6 : name === "text" ? 3 : 2;
    const input = make("textarea", { id, name, rows: tall, "aria-describedby": `${id}-problem`, lang: "zh" });
    input.value = this.values[name] ?? "";
    input.addEventListener("input", () => {
      this.values[name] = input.value;
      this.complain(name, "");
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.ask(event);
    });
    this.inputs[name] = input;
    return make(
      "div",
      { class: "row" },
      make("label", { for: id }, say(name)),
      input,
      make("p", { id: `${id}-problem`, class: "problem" }),
    );
  }

  another() {
    this.example = (this.example + 1) % this.ability.examples.length;
    this.values = { ...this.ability.examples[this.example] };
    this.told = null;
    this.draw();
    this.inputs[this.ability.fields(this.model)[0]].focus();
  }

  complain(name, message) {
    const input = this.inputs[name];
    document.getElementById(`${input.id}-problem`).textContent = message;
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  // What is wrong with a field, before the server is asked; the server checks the same.
  wrong(name) {
    const text = this.values[name] ?? "";
    const count = Array.from(text).length;
    if (!text.trim()) return say("field-empty");
    if (count > limits.characters) return say("field-long", { count, most: limits.characters });
    if (this.ability.name === "fill-mask" && !text.includes("[MASK]")) return say("field-blank");
    if (/[\ud800-\udfff]/u.test(text)) return say("field-encoding");
    return "";
  }

  async ask(event) {
    event.preventDefault();
    if (this.asked) return;
    const names = this.ability.fields(this.model);
    this.problem.textContent = "";
    for (const name of names) this.complain(name, this.wrong(name));
    const first = names.find((name) => this.wrong(name));
    if (first) {
      this.inputs[first].focus();
      return;
    }
    const values = Object.fromEntries(names.map((name) => [name, this.values[name]]));
    this.asked = { values };
    this.told = null;
    this.run.disabled = true;
    this.run.textContent = say("asking");
    this.show();
    const started = performance.now();
    let told;
    try {
      const response = await fetch(`v1/${this.ability.name}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ model: this.model.name, ...this.ability.request(values) }),
      });
      const body = await response.json();
      told = { status: response.status, body, values, whole: performance.now() - started };
    } catch {
      told = { status: 0, body: {}, values };
    }
    this.asked = null;
    this.told = told;
    this.run.disabled = false;
    this.run.textContent = say("ask");
    this.show();
  }

  show() {
    this.result.replaceChildren();
    this.problem.textContent = "";
    if (!this.told) return;
    const { status, body, values, whole } = this.told;
    if (status === 200) {
      const took = say("took", { server: body.milliseconds.toFixed(1), whole: whole.toFixed(1) });
      this.result.append(...this.ability.show(body.answers[0], values), make("p", { class: "took" }, took));
      return;
    }
    if (status === 0) {
      this.problem.textContent = say("unreachable");
      return;
    }
    if (status === 503 || status === 504) {
      this.problem.textContent = say(status === 503 ? "too-many" : "late");
      return;
    }
    const { message = "", field = "" } = body.error ?? {};
    const found = FIELDS.find(([pattern]) => pattern.test(field ?? ""));
    if (found && found[1] in this.inputs) this.complain(found[1], message);
    else this.problem.textContent = say("failed", { status, message });
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The page

let panels = [];

function choose(name, focus = false) {
  for (const panel of panels) {
    const chosen = panel.ability.name === name;
    const tab = document.getElementById(`tab-${panel.ability.name}`);
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    panel.element.hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
  history.replaceState(null, "", `#${name}`);
}

function drawTabs() {
  const list = document.getElementById("tabs");
  list.setAttribute("aria-label", say("tabs"));
  const chosen = list.querySelector("[aria-selected=true]")?.dataset.name;
  list.replaceChildren(
    ...panels.map((panel) =>
      make(
        "button",
        {
          id: `tab-${panel.ability.name}`,
          type: "button",
          role: "tab",
          class: panel.able.length ? "" : "lacking",
          "data-name": panel.ability.name,
          "aria-controls": `panel-${panel.ability.name}`,
          onclick: () => choose(panel.ability.name),
        },
        say(panel.ability.name),
      ),
    ),
  );
  return chosen;
}

function step(event) {
  const names = panels.map((panel) => panel.ability.name);
  const place = names.indexOf(event.target.dataset.name);
  const steps = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: names.length - 1 };
  if (!(event.key in steps) || place < 0) return;
  event.preventDefault();
  choose(names[(steps[event.key] + names.length) % names.length], true);
}

function translate(chosen) {
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  for (const id of ["about", "docs"]) document.getElementById(id).textContent = say(id);
  document.getElementById("languages").setAttribute("aria-label", say("languages"));
  for (const button of document.querySelectorAll("#languages button")) {
    button.setAttribute("aria-pressed", button.dataset.language === chosen);
  }
  for (const panel of panels) panel.draw();
  const tab = drawTabs();
  if (tab) choose(tab);
}

function firstLanguage() {
  let kept = null;
  try {
    kept = localStorage.getItem("language");
  } catch {
    // no storage: the browser's language holds
  }
  if (kept in WORDS) return kept;
  return (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
}

function keepLanguage(event) {
  const chosen = event.target.dataset.language;
  try {
    localStorage.setItem("language", chosen);
  } catch {
    // not kept, then
  }
  translate(chosen);
}

// Asks for the models until they are loaded.
async function start() {
  const state = document.getElementById("state");
  for (;;) {
    try {
      const health = await (await fetch("health")).json();
      state.textContent = health.status === "ready" ? "" : say(health.status);
      if (health.status === "ready") break;
    } catch {
      state.textContent = say("unreachable");
    }
    await new Promise((resume) => setTimeout(resume, 1000));
  }
  ({ models, limits } = await (await fetch("v1/models")).json());
  panels = ABILITIES.map((ability) => new Panel(ability));
  document.getElementById("panels").replaceChildren(...panels.map((panel) => panel.element));
  drawTabs();
  document.getElementById("tabs").addEventListener("keydown", step);
  const asked = panels.find((panel) => `#${panel.ability.name}` === location.hash);
  choose((asked ?? panels.find((panel) => panel.able.length) ?? panels[0]).ability.name);
}

for (const button of document.querySelectorAll("#languages button")) button.addEventListener("click", keepLanguage);
translate(firstLanguage());
start();
