import { expect, test } from "vitest";
import { Lines } from "./lines";

test("an event that comes in pieces is one event", () => {
  const lines = new Lines();
  expect(lines.read("id: 7\nevent: stu")).toEqual([]);
  expect(lines.read('dy\ndata: {"study":"s"}\n')).toEqual([]);
  expect(lines.read("\n")).toEqual([{ id: "7", kind: "study", data: { study: "s" } }]);
});

test("a comment is no event, and the last id stays", () => {
  const lines = new Lines();
  expect(lines.read(": ping\n\nid: 3\n\ndata: {}\n\n")).toEqual([
    { id: "3", kind: "message", data: {} },
  ]);
});
