import { expect, it } from "vitest";
import { DataError, eachRow } from "../../src/tasks/tables.ts";

it("names the file and the line of a row that cannot be read, and keeps the cause", () => {
  const cause = new Error("the text is empty");
  const read = ({ line }: { line: number }) => {
    if (line === 7) throw cause;
    return line;
  };
  expect(eachRow([{ line: 1 }, { line: 3 }], "a.tsv", read)).toEqual([1, 3]);
  const failed = () => eachRow([{ line: 1 }, { line: 7 }], "a.tsv", read);
  expect(failed).toThrow(DataError);
  expect(failed).toThrow(expect.objectContaining({ message: "a.tsv, line 7: the text is empty", cause }));
});
