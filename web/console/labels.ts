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

/** Where each label goes: the nearest free place inside of `bounds`; where there is none, the one that covers least. */
export function placed(labels: readonly Wanted[], marks: readonly Box[], bounds: Box): Box[] {
  const taken: Box[] = [...marks];
  return labels.map((label) => {
    const places = candidates(label).filter((box) => inside(box, bounds));
    const free = places.find((box) => taken.every((other) => !overlap(box, other)));
    const best = free ?? leastCovering(places, taken) ?? candidates(label)[0];
    taken.push(best);
    return best;
  });
}

/** Whether a label stands so far off that a line should lead to it. */
export function needsLine(label: Wanted, box: Box): boolean {
  const dx = Math.max(box.left - label.x, label.x - box.left - box.width, 0);
  const dy = Math.max(box.top - label.y, label.y - box.top - box.height, 0);
  return Math.hypot(dx, dy) > FIRST_GAP + GAP_STEP;
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

function leastCovering(places: readonly Box[], taken: readonly Box[]): Box | undefined {
  const covered = (box: Box) => taken.reduce((sum, other) => sum + area(box, other), 0);
  return places.reduce<Box | undefined>(
    (best, box) => (best === undefined || covered(box) < covered(best) ? box : best),
    undefined,
  );
}

/** That both cover. */
function area(a: Box, b: Box): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return across > 0 && down > 0 ? across * down : 0;
}
