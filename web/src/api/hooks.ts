/** Reading and changing from a screen: keys follow the paths, so events can name what is stale. */

import {
  keepPreviousData,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
  type QueryClient,
} from "@tanstack/react-query";
import { api, type Paged, type Query } from "./client";
import { useMemo } from "react";
import type { ApiProblem } from "./problem";

export type QueryKey = readonly unknown[];

/** The words of a path, as people and events name them: an address writes identifiers otherwise. */
export function wordsOf(path: string): string[] {
  return path.split("/").filter(Boolean).map(decodeURIComponent);
}

/** The key of what a path gives: its words, then what was asked. */
export function keyOf(path: string, query: Query = {}): QueryKey {
  return [...wordsOf(path), query];
}

type Reading = {
  enabled?: boolean;
  /** Ask again after so many milliseconds. */
  every?: number;
  /** Show what was there while a changed question is answered. */
  keep?: boolean;
};

/** Read one thing. */
export function useGet<Answer>(path: string, query: Query = {}, how: Reading = {}) {
  return useQuery<Answer, ApiProblem>({
    queryKey: keyOf(path, query),
    queryFn: ({ signal }) => api.get<Answer>(path, query, { signal }),
    enabled: how.enabled ?? true,
    refetchInterval: how.every ?? false,
    placeholderData: how.keep ? keepPreviousData : undefined,
  });
}

/** Read a long list part by part. `items` holds what has come, `more` fetches the next part. */
export function usePages<Item, Extra = unknown>(
  path: string,
  query: Query = {},
  how: Reading = {},
) {
  const found = useInfiniteQuery<Paged<Item> & Extra, ApiProblem>({
    queryKey: keyOf(path, { ...query, paged: true }),
    queryFn: async ({ pageParam, signal }) =>
      asPage<Item, Extra>(
        await api.get(path, { ...query, cursor: pageParam as string }, { signal }),
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.next ?? undefined,
    enabled: how.enabled ?? true,
    refetchInterval: how.every ?? false,
    placeholderData: how.keep ? keepPreviousData : undefined,
    // Comparing every part with what was there costs more with each part that is fetched.
    structuralSharing: false,
  });
  const pages = found.data?.pages;
  const items = useMemo(() => pages?.flatMap((page) => page.items) ?? [], [pages]);
  return {
    ...found,
    items,
    first: pages?.[0],
    more: found.hasNextPage ? () => void found.fetchNextPage() : undefined,
    isFetchingMore: found.isFetchingNextPage,
  };
}

/** Read a list from its beginning to its end: for an export of everything. */
export async function getAll<Item>(path: string, query: Query = {}): Promise<Item[]> {
  const found: Item[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: Paged<Item> = asPage<Item, unknown>(
      await api.get(path, { limit: 200, ...query, cursor }),
    );
    found.push(...page.items);
    cursor = page.next;
  }
  return found;
}

/** A short list comes whole. */
function asPage<Item, Extra>(answer: unknown): Paged<Item> & Extra {
  const page = Array.isArray(answer) ? { items: answer as Item[], next: null } : answer;
  return page as Paged<Item> & Extra;
}

/** Do something once; afterwards what the named paths gave is read anew. */
export function useSend<Given, Answer>(
  deed: (given: Given) => Promise<Answer>,
  how: { refresh?: string[]; done?: (answer: Answer, given: Given) => void } = {},
) {
  const client = useQueryClient();
  return useMutation<Answer, ApiProblem, Given>({
    mutationFn: deed,
    onSuccess: async (answer, given) => {
      how.done?.(answer, given);
      await refresh(client, how.refresh ?? []);
    },
  });
}

/** Read anew what these paths gave, and everything below them. */
export async function refresh(client: QueryClient, paths: string[]): Promise<void> {
  await Promise.all(
    paths.map((path) =>
      client.invalidateQueries({ queryKey: wordsOf(path) }),
    ),
  );
}
