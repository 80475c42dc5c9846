import { expect, test } from "vitest";
import { writeCsv } from "./csv";

test("a cell that a spreadsheet would run is text", () => {
  expect(writeCsv([["=1+1", -2, 'say "yes", 张^三']])).toBe(
    '\uFEFF\'=1+1,-2,"say ""yes"", 张^三"\r\n',
  );
});
