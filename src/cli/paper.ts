/** What MPCFormer's authors published (Li et al., arXiv:2211.01452), for tables that set it beside one's own. */
import type { PaperRow } from "../console/study.ts";

const MODEL = "BERT-base";
/** Published for the whole of GLUE, not by task. */
const GLUE_SPEED_UP = 2.2;

const imdb = (speed_up: number, without_pd: number, without_d: number, both: number): PaperRow => ({
  model: MODEL,
  teacher: 94.1,
  without_pd,
  without_d,
  both,
  speed_up,
});
const glue = (teacher: number, without_d: number, both: number): PaperRow => ({
  model: MODEL,
  teacher,
  without_pd: null,
  without_d,
  both,
  speed_up: GLUE_SPEED_UP,
});

const PUBLISHED: Readonly<Record<string, PaperRow>> = {
  "imdb quad exact": imdb(1.24, 87.5, 87.5, 94.0),
  "imdb exact 2relu": imdb(1.76, 86.1, 93.8, 94.0),
  "imdb quad 2relu": imdb(2.61, 85.8, 86.8, 94.0),
  "imdb exact 2quad": imdb(2.65, 87.3, 90.6, 94.0),
  "imdb quad 2quad": imdb(5.26, 87.8, 87.3, 93.9),
  "mnli quad 2quad": glue(84.7, 70.6, 84.9),
  "qqp quad 2quad": glue(88.1, 83.4, 88.1),
  "qnli quad 2quad": glue(91.7, 69.8, 90.6),
  "sst2 quad 2quad": glue(93.1, 83.3, 92.0),
  "cola quad 2quad": glue(57.8, 0, 52.6),
  "stsb quad 2quad": glue(89.1, 36.1, 80.3),
  "mrpc quad 2quad": glue(90.3, 81.2, 88.7),
  "rte quad 2quad": glue(69.7, 52.7, 64.9),
};

/** The paper's numbers of a task and a pair of stand-ins, whose parameters are left out; null where it has none. */
export function published(task: string, gelu: string, softmax: string): PaperRow | null {
  const plain = (name: string) => name.split(":")[0];
  return PUBLISHED[`${task} ${plain(gelu)} ${plain(softmax)}`] ?? null;
}
