/** What screens need of the API. */

export { api, newKey, part, type Paged, type Query } from "./client";
export { getAll, keyOf, refresh, useGet, usePages, useSend } from "./hooks";
export { ApiProblem, UNREACHABLE } from "./problem";
export { useMay, useSession, useStanding } from "./session";
export { useEvent, useIsLive, type StreamEvent } from "./stream";
export * from "./types";
