/** Charts are drawn at the width they have, so that their text keeps its size on a phone. */
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const UNKNOWN = 300;

/** A place for a chart, and its width in pixels, kept up to date. */
export function useWidth(): { place: RefObject<HTMLDivElement | null>; width: number } {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(UNKNOWN);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    if (place.current !== null) observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  return { place, width };
}
