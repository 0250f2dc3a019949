/** Labels beside marks, so that none lies over another or over a mark. */

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Wanted {
  /** Of the mark. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A step away from the mark, first right, then left, above, below, and between them. */
const SIDES = [
  [1, 0],
  [-1, 0],
  [0, -1],
  [0, 1],
  [1, -1],
  [1, 1],
  [-1, -1],
  [-1, 1],
] as const;
const [FIRST_GAP, GAP_STEP, RINGS] = [9, 7, 24];
/** Pixels that a label may move away rather than stand nearer to another's mark, or over a line. */
const [MISLEADING, CROSSING] = [30, 20];

/** What a label must not cover, and what it had better not. */
export interface Obstacles {
  readonly marks: readonly Box[];
  readonly lines: readonly Box[];
}

/** Where each label goes: a free place near its mark inside of `bounds`; where there is none, the one that covers least. */
export function placed(labels: readonly Wanted[], { marks, lines }: Obstacles, bounds: Box): Box[] {
  const taken: Box[] = [...marks];
  return labels.map((label, i) => {
    const places = candidates(label).filter((box) => inside(box, bounds));
    const free = places.filter((box) => taken.every((other) => !overlap(box, other)));
    const others = labels.filter((_, j) => j !== i);
    const cost = (box: Box) =>
      distance(label, box) +
      (others.some((other) => distance(other, box) <= distance(label, box)) ? MISLEADING : 0) +
      (lines.some((line) => overlap(box, line)) ? CROSSING : 0);
    const best = least(free, cost) ?? least(places, (box) => covered(box, taken)) ?? candidates(label)[0];
    taken.push(best);
    return best;
  });
}

/** Whether a label stands so that a line should lead to it: far off, or as near to another's mark. */
export function needsLine(label: Wanted, box: Box, others: readonly Wanted[]): boolean {
  const own = distance(label, box);
  return own > FIRST_GAP + GAP_STEP || others.some((other) => distance(other, box) <= own + 2);
}

/** From a mark to a label's box. */
function distance({ x, y }: Wanted, box: Box): number {
  const dx = Math.max(box.left - x, x - box.left - box.width, 0);
  const dy = Math.max(box.top - y, y - box.top - box.height, 0);
  return Math.hypot(dx, dy);
}

export function overlap(a: Box, b: Box): boolean {
  return area(a, b) > 0;
}

function candidates({ x, y, width, height }: Wanted): Box[] {
  return Array.from({ length: RINGS }, (_, ring) => FIRST_GAP + ring * GAP_STEP).flatMap((gap) =>
    SIDES.map(([dx, dy]) => ({
      left: x + dx * gap + (dx - 1) * (width / 2),
      top: y + dy * gap + (dy - 1) * (height / 2),
      width,
      height,
    })),
  );
}

function inside(box: Box, bounds: Box): boolean {
  return (
    box.left >= bounds.left &&
    box.top >= bounds.top &&
    box.left + box.width <= bounds.left + bounds.width &&
    box.top + box.height <= bounds.top + bounds.height
  );
}

function covered(box: Box, taken: readonly Box[]): number {
  return taken.reduce((sum, other) => sum + area(box, other), 0);
}

/** The first of those that cost least. */
function least(boxes: readonly Box[], cost: (box: Box) => number): Box | undefined {
  let best: { box: Box; cost: number } | undefined;
  for (const box of boxes) {
    const now = cost(box);
    if (best === undefined || now < best.cost) best = { box, cost: now };
  }
  return best?.box;
}

/** That both cover. */
function area(a: Box, b: Box): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return across > 0 && down > 0 ? across * down : 0;
}
