"use strict";

// Draws a callflow as trees, as in the SVG, but with boxes that open and close. A box is the array
// [parent, label, branch, module, lines, disabled, target, data, references]. The parent of a head is -1.

const [PARENT, LABEL, BRANCH, MODULE, LINES, OFF, TARGET, DATA, REFERENCES] = Array(9).keys();
const WIDTH = 196, HEIGHT = 48, HEAD = 252, SIDE = 20, DOWN = 30, TREES = 60, MARGIN = 24, BREADTH = 12, FIRST = 80;
const INDENT = 16, TRIES = 60, LABEL_ROOM = 240, TEXT_ROOM = WIDTH - 58, HEAD_ROOM = HEAD - 56;
const READABLE = 0.8;  // the smallest scale at which a picture opens
const MARKS = {error: "!", warning: "!", info: "i"};
const head = JSON.parse(document.getElementById("head").textContent);

function make(tag, attributes, ...inner) {
  const drawn = ["svg", "g", "rect", "path", "circle", "text", "title"].includes(tag);
  const element = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== null) element.setAttribute(name, value);
  element.append(...inner.filter((each) => each !== null && each !== ""));
  return element;
}

// --- the width of text, as in text_width.py ------------------------------------------------------------

const known = {};
for (const weight of ["regular", "bold"]) {
  known[weight] = new Map(Object.entries(head.widths[weight]).flatMap(([width, letters]) => [...letters].map((letter) => [letter, +width])));
}

function widthOf(letter, weight) {
  const width = known[weight].get(letter), code = letter.codePointAt(0);
  if (width !== undefined) return width;
  if (/\p{Mn}|\p{Cf}/u.test(letter)) return 0;
  return head.widths.ranges.find(([first, last]) => first <= code && code <= last)?.[2] ?? head.widths.other;
}

function fit(text, style, room) {
  const [size, bold] = head.texts[style], weight = bold ? "bold" : "regular", letters = [...text];
  const widths = letters.map((letter, place) => letters[place - 1] === "\u200d" ? 0 : widthOf(letter, weight));
  let sum = widths.reduce((total, width) => total + width, 0);
  if (sum * size / 1000 <= room) return [text, sum * size / 1000];
  sum += widthOf("…", weight);
  while (sum * size / 1000 > room && letters.length) { letters.pop(); sum -= widths.pop(); }
  return fit(letters.join("").trimEnd() + "…", style, Infinity);
}

function write(text, style, x, y, room) {
  const [shown, width] = fit(text, style, room), [size, bold] = head.texts[style];
  const length = width ? {textLength: width, lengthAdjust: "spacingAndGlyphs"} : {};
  return make("text", {class: style, x, y, "font-size": size, "font-weight": bold ? 700 : null, ...length}, shown);
}

// Returns [text, style] for each line of text in a box.
function textsOf(box) {
  const module = box[MODULE] && box[MODULE] !== box[LABEL] ? [[box[MODULE], "module"]] : [];
  const lines = [...(box[LINES] || []), ...(box[OFF] ? ["disabled"] : [])].map((line) => [line, "name"]);
  return [[box[LABEL], "label"], ...module, ...lines];
}

class Picture {
  // marks: the worst severity of a box's findings, by the box's place; found: the boxes that the search has found;
  // chosen(place): a function to call when a box is clicked, or Enter or Space is pressed on it.
  constructor(host, boxes, {marks, found, chosen}) {
    Object.assign(this, {host, boxes, marks, found, chosen, scale: 0, current: 0, whole: false});
    this.below = boxes.map(() => []);
    this.heads = [];
    boxes.forEach((box, place) => (box[PARENT] < 0 ? this.heads : this.below[box[PARENT]]).push(place));
    this.sizes = boxes.map(() => 1);
    for (let place = boxes.length - 1; place > 0; place--) if (boxes[place][PARENT] >= 0) this.sizes[boxes[place][PARENT]] += this.sizes[place];
    this.open(FIRST, BREADTH);
    this.draw();
    this.host.scrollLeft = this.at(0).x * this.scale - this.host.clientWidth / 2;
    this.host.scrollTop = 0;
  }

  // Opens about `limit` boxes from the top, with about `breadth` children of a box.
  open(limit, breadth) {
    this.shown = this.boxes.map(() => 0);
    const waiting = [...this.heads];
    let room = limit;
    for (let next = 0; next < waiting.length && room > 0; next++) {
      const place = waiting[next], kids = this.below[place];
      let count = Math.min(kids.length, breadth, room);
      if (count + 1 === kids.length && this.sizes[kids[count]] === 1) count++;
      this.shown[place] = count;
      room -= count;
      for (let each = 0; each < count; each++) waiting.push(kids[each]);
    }
  }

  // Returns the visible boxes. Parents come before children.
  visible() {
    const found = [], waiting = this.heads.map((place) => [place, -1, 1, 0]).reverse();
    while (waiting.length) {
      const [place, parent, level, more] = waiting.pop();
      const here = found.push({place, parent, level, more, kids: []}) - 1;
      if (parent >= 0) found[parent].kids.push(here);
      if (more) continue;
      const kids = this.below[place], hidden = kids.slice(this.shown[place]);
      if (hidden.length) waiting.push([place, here, level + 1, hidden.reduce((sum, kid) => sum + this.sizes[kid], 0)]);
      for (let each = this.shown[place] - 1; each >= 0; each--) waiting.push([kids[each], here, level + 1, 0]);
    }
    return found;
  }

  // Returns the lines below the title of a head.
  lines(place) {
    const numbers = this.boxes[place][LINES] || [];
    return numbers.length > 3 ? [...numbers.slice(0, 2), `+ ${numbers.length - 2} more`] : numbers;
  }

  measure(seen) {
    for (const each of seen) {
      const first = each.parent < 0, box = this.boxes[each.place], lines = first ? this.lines(each.place).length : 0;
      each.text = `+ ${each.more.toLocaleString("en")} more`;
      each.w = first ? HEAD : each.more ? fit(each.text, "count", WIDTH)[1] + 32 : WIDTH;
      each.h = first ? 36 + 18 * lines + (lines ? 6 : 0) : each.more ? 32 : Math.max(HEIGHT, 24 + 16 * textsOf(box).length);
      each.branch = each.more ? "" : box[BRANCH] || "";
      each.pill = each.branch ? fit(each.branch, "branch", LABEL_ROOM)[1] + 16 : 0;
    }
  }

  // Places each box above the middle of its children, as svg.py does. To save width, all boxes below a box in `hung` are
  // placed one under the other instead. A tree that does not fit into the width `room` beside the tree before it is
  // placed under that tree. Returns the width and the height of the picture.
  arrange(seen, hung, room) {
    const levels = seen.reduce((most, each) => Math.max(most, each.level), 1), indent = Math.min(INDENT, Math.max(2, (room - HEAD) / levels));
    for (const each of seen) {
      const above = seen[each.parent];
      each.hanger = !above ? null : hung.has(each.parent) ? above : above.hanger;
    }
    for (let here = seen.length - 1; here >= 0; here--) {
      const each = seen[here], half = Math.max(each.w, each.pill) / 2;
      if (each.hanger || hung.has(here)) {
        const below = each.kids.map((kid) => indent + seen[kid].reach), pill = each.hanger && each.pill ? 18 + each.pill : 0;
        each.reach = Math.max(each.w, pill, ...below);
        each.middle = Math.max(half, each.w / 2);
        each.span = Math.max(each.middle - each.w / 2 + each.reach, each.middle + half);
        continue;
      }
      let reach = 0, middle = half;
      for (const kid of each.kids) { seen[kid].offset = reach; reach += seen[kid].span + SIDE; }
      reach = Math.max(reach - SIDE, 0);
      if (each.kids.length) {
        const first = seen[each.kids[0]], last = seen[each.kids[each.kids.length - 1]];
        middle = (first.offset + first.middle + last.offset + last.middle) / 2;
      }
      const lead = Math.max(0, half - middle);
      for (const kid of each.kids) seen[kid].offset += lead;
      each.middle = middle + lead;
      each.span = Math.max(reach + lead, each.middle + half);
    }
    let left = 0, top = 0, wide = 0, high = 0;
    for (const each of seen) {
      if (each.parent < 0) {
        if (left && left + each.span > room) { left = 0; top = high + TREES; }
        Object.assign(each, {left, y: top});
        left += each.span + TREES;
        wide = Math.max(wide, left - TREES);
      }
      if (each.hanger) {
        const above = seen[each.parent];
        each.x = above.x - above.w / 2 + indent + each.w / 2;
        each.y = each.hanger.bottom + (each.branch ? 36 : 12);
        each.hanger.bottom = each.y + each.h;
      } else {
        each.x = each.left + each.middle;
        const drop = DOWN * (each.kids.some((kid) => seen[kid].branch) ? 2 : 1) + (each.kids.length === 1 ? 0 : 6);
        for (const kid of each.kids) { seen[kid].left = each.left + seen[kid].offset; seen[kid].y = each.y + each.h + drop; }
        each.bottom = each.y + each.h;
      }
      high = Math.max(high, each.y + each.h);
    }
    return [wide, high];
  }

  // Returns the set `hung` for `arrange`. At first, the set has all heads. Then a box in the set is replaced with its
  // children, as long as the picture is not wider than `room`.
  hang(seen, room) {
    let hung = new Set(seen.flatMap((each, here) => (each.parent < 0 ? [here] : [])));
    const waiting = [...hung];
    for (let tries = 0; waiting.length && tries < TRIES; tries++) {
      const here = waiting.shift(), kids = seen[here].kids.filter((kid) => seen[kid].kids.length), fewer = new Set([...hung, ...kids]);
      fewer.delete(here);
      if (this.arrange(seen, fewer, room)[0] > room) continue;
      hung = fewer;
      waiting.push(...kids);
    }
    return hung;
  }

  edge(from, to) {
    const y = from.y + from.h;
    if (to.hanger) return `M${from.x - from.w / 2 + 8} ${y}V${to.y + to.h / 2 - 6}q0 6 6 6H${to.x - to.w / 2}`;
    const across = to.x - from.x, turn = Math.min(8, Math.abs(across) / 2) * Math.sign(across), round = Math.abs(turn);
    if (Math.abs(across) < 1) return `M${from.x} ${y}V${to.y}`;
    return `M${from.x} ${y}V${y + 18 - round}q0 ${round} ${turn} ${round}H${to.x - turn}q${turn} 0 ${turn} ${round}V${to.y}`;
  }

  draw() {
    const seen = this.seen = this.visible();
    this.measure(seen);
    const margin = this.margin = this.host.clientWidth < 640 ? 14 : MARGIN, room = this.host.clientWidth - 2;
    this.hung = this.whole ? new Set() : this.hang(seen, room / READABLE - 2 * margin);
    const [wide, high] = this.arrange(seen, this.hung, this.whole ? Infinity : room / READABLE - 2 * margin);
    this.size = [wide + 2 * margin, high + 2 * margin];
    if (!this.scale) this.scale = Math.max(Math.min(1, room / this.size[0]), READABLE);
    const edges = [], pills = [], drawn = [];
    for (const each of seen) {
      const box = this.boxes[each.place];
      if (each.parent >= 0) {
        edges.push(make("path", {class: !each.more && box[OFF] ? "edge off" : "edge", d: this.edge(seen[each.parent], each)}));
        if (each.branch) pills.push(this.pill(each));
      }
      each.element = each.more ? this.chip(each) : this.box(each, box);
      drawn.push(each.element);
    }
    this.svg = make("svg", {class: "flow", role: "tree", "aria-label": this.boxes[0][LABEL] + ", callflow"}, ...edges, ...pills, ...drawn);
    this.svg.setAttribute("viewBox", `${-margin} ${-margin} ${this.size[0]} ${this.size[1]}`);
    this.zoom(this.scale);
    this.host.replaceChildren(this.svg);
    this.mark(this.seen.findIndex((each) => each.place === this.current && !each.more));
  }

  // Draws the picture again. whole: whether no boxes are hung, however wide the picture becomes.
  turn(whole) { Object.assign(this, {whole, scale: 0}); this.draw(); }

  zoom(scale) {
    this.scale = Math.min(2, Math.max(0.05, scale));
    this.svg.setAttribute("width", this.size[0] * this.scale);
    this.svg.setAttribute("height", this.size[1] * this.scale);
  }

  fit() { this.zoom(Math.min(1, this.host.clientWidth / this.size[0], this.host.clientHeight / this.size[1])); }

  at(place) { const each = this.seen.find((one) => one.place === place && !one.more); return {x: each.x + this.margin, y: each.y + this.margin}; }

  pill(each) {
    const x = each.hanger ? each.x - each.w / 2 + 18 + each.pill / 2 : each.x, y = each.y - (each.hanger ? 15 : 20);
    return make("g", {class: "pill", transform: `translate(${x} ${y})`, "aria-hidden": "true"}, make("title", {}, each.branch),
      make("rect", {x: -each.pill / 2, y: -10, width: each.pill, height: 20, rx: 10}), write(each.branch, "branch", 0, 4, LABEL_ROOM));
  }

  item(each, attributes, ...inner) {
    const place = `translate(${each.x - each.w / 2} ${each.y})`;
    const element = make("g", {role: "treeitem", tabindex: "-1", "aria-level": each.level, transform: place, ...attributes}, ...inner);
    element.addEventListener("click", () => { this.mark(this.seen.indexOf(each), true); this.act(each); });
    return element;
  }

  chip(each) {
    return this.item(each, {class: "more", "aria-label": `${each.text}: press Enter to show them`},
      make("rect", {width: each.w, height: each.h, rx: 16}), write(each.text, "count", each.w / 2, 20, WIDTH));
  }

  box(each, box) {
    const texts = textsOf(box), severity = this.marks.get(each.place), first = each.parent < 0, kids = this.below[each.place].length;
    const kind = first ? "head" : head.kinds[box[MODULE]] || "other", title = (first ? [box[LABEL], ...(box[LINES] || [])] : texts.map(([text]) => text)).join(" · ");
    const classes = ["box", kind, box[OFF] ? "off" : "", !first && box[TARGET] ? "link" : "", this.found.has(each.place) ? "found" : ""];
    const said = [box[BRANCH], title, severity ? `has a finding: ${severity}` : ""].filter(Boolean).join(", ");
    const frame = make("rect", {class: "frame", width: each.w, height: each.h, rx: first ? 12 : 10}), middle = each.h / 2, top = (each.h - 16 * texts.length) / 2 + 12;
    const inner = first
      ? [icon("head", 15, 10), write(box[LABEL], "title", 44, 23, HEAD_ROOM), ...this.lines(each.place).map((line, row) => write(line, "number", 44, 44 + 18 * row, HEAD_ROOM))]
      : [make("rect", {class: "tile", x: 10, y: middle - 14, width: 28, height: 28, rx: 7}), icon(kind, 16, middle - 8),
        ...texts.map(([text, style], row) => write(text, style, 48, top + 16 * row, TEXT_ROOM))];
    const mark = severity ? [make("g", {class: "mark " + severity, transform: `translate(${each.w - 4} 4)`}, make("circle", {r: 9}), make("text", {y: 4, "font-size": 12}, MARKS[severity]))] : [];
    return this.item(each, {class: classes.filter(Boolean).join(" "), "aria-label": said, "aria-expanded": kids ? this.shown[each.place] > 0 : null},
      make("title", {}, title), frame, ...inner, ...mark);
  }

  // Opens a folded box, or reports that another box was chosen.
  act(each) {
    if (each.more) this.show(each, Math.min(this.below[each.place].length, this.shown[each.place] + BREADTH));
    else this.chosen(each.place);
  }

  // Closes or opens a box that has children, unless it is a head.
  toggle(place) {
    const each = this.seen.find((one) => one.place === place && !one.more), kids = this.below[place].length;
    if (kids && each.parent >= 0) this.show(each, this.shown[place] ? 0 : Math.min(kids, BREADTH));
  }

  // Opens the boxes above a box, so that it is visible, and makes it the current one.
  reveal(place) {
    for (let each = place; this.boxes[each][PARENT] >= 0; each = this.boxes[each][PARENT]) {
      const above = this.boxes[each][PARENT];
      this.shown[above] = Math.max(this.shown[above], this.below[above].indexOf(each) + 1);
    }
    this.current = place;
    this.draw();
    this.focus("center");
  }

  show(each, count) {
    const before = this.at(each.place), left = this.host.scrollLeft, top = this.host.scrollTop;
    const first = each.more ? this.below[each.place][this.shown[each.place]] : each.place;
    const opened = this.below[each.place].slice(this.shown[each.place], count);
    while (opened.length) {  // small subtrees open completely
      const kid = opened.pop();
      if (this.sizes[kid] <= BREADTH) { this.shown[kid] = this.below[kid].length; opened.push(...this.below[kid]); }
    }
    this.shown[each.place] = count;
    this.current = first;
    this.draw();
    const after = this.at(each.place);
    this.host.scrollLeft = left + (after.x - before.x) * this.scale;
    this.host.scrollTop = top + (after.y - before.y) * this.scale;
    this.focus();
  }

  expand(all) { if (all) this.open(Infinity, Infinity); else this.open(FIRST, BREADTH); this.current = 0; this.draw(); }

  mark(here, focus) {
    if (here < 0) here = 0;
    this.svg.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    this.svg.querySelector(".current")?.classList.remove("current");
    const each = this.seen[here];
    each.element.setAttribute("tabindex", "0");
    each.element.classList.add("current");
    this.here = here;
    this.current = each.place;
    if (focus) this.focus();
  }

  focus(block = "nearest") {
    const element = this.seen[this.here].element;
    element.focus({preventScroll: true});
    element.scrollIntoView({block, inline: "nearest"});
  }

  // Moves to another box, or acts on the current one. Returns whether the picture handled the key.
  key(key) {
    const each = this.seen[this.here], siblings = each.parent < 0 ? this.seen.flatMap((one, at) => (one.parent < 0 ? [at] : [])) : this.seen[each.parent].kids, place = siblings.indexOf(this.here);
    const down = each.kids[0], up = each.parent, before = siblings[place - 1], after = siblings[place + 1];
    const next = {Home: 0, End: this.seen.length - 1, ...(each.hanger
      ? {ArrowDown: this.here + 1, ArrowUp: this.here - 1, ArrowRight: down, ArrowLeft: up}
      : {ArrowDown: down, ArrowUp: up, ArrowRight: after, ArrowLeft: before})};
    if (key === "Enter" || key === " ") this.act(each);
    else if (key in next) { if (this.seen[next[key]]) this.mark(next[key], true); } else return false;
    return true;
  }
}

const icon = (kind, x, y) => make("path", {class: "icon", transform: `translate(${x} ${y})`, d: head.icons[kind]});
