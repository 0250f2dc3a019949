/** The shapes of marks: they differ by more than colour. */
export type MarkShape = "circle" | "square" | "ring" | "triangle" | "diamond";

/** A mark around the origin, about ten pixels wide. */
export function MarkOf({ shape }: { readonly shape: MarkShape }) {
  switch (shape) {
    case "circle":
      return <circle r="5" />;
    case "ring":
      return <circle class="hollow" r="4.5" />;
    case "square":
      return <rect x="-4" y="-4" width="8" height="8" />;
    case "triangle":
      return <path class="hollow" d="M0 -5L5 4H-5Z" />;
    case "diamond":
      return <path d="M0 -6L6 0L0 6L-6 0Z" />;
  }
}
