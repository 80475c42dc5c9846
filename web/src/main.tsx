/** Begins the console: look and language first, so that nothing flickers, then the screens. */

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { RouterProvider } from "react-router/dom";
import { ApiProblem } from "./api/problem";
import { SessionProvider } from "./api/session";
import { Toasts } from "./parts/Toast";
import { beginLook } from "./shell/look";
import { makeRouter } from "./shell/router";
import { beginWords } from "./words";
import "./style/index.css";

const TRIES = 2;

/** What the node refused it will refuse again; only silence is worth another try. */
function isWorthAnother(failures: number, error: unknown): boolean {
  const isAnswer = error instanceof ApiProblem && error.status !== 0 && error.status < 500;
  return !isAnswer && failures < TRIES;
}

function makeClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: { networkMode: "always", retry: isWorthAnother, staleTime: 5000, refetchOnWindowFocus: false },
      // A node that is restarting is no reason to wait in silence: show that it does not answer.
      mutations: { retry: false, networkMode: "always" },
    },
  });
}

async function begin(): Promise<void> {
  beginLook();
  await beginWords();
  createRoot(document.getElementById("root")!).render(
    <StrictMode>
      <QueryClientProvider client={makeClient()}>
        <SessionProvider>
          <Toasts>
            <RouterProvider router={makeRouter()} />
          </Toasts>
        </SessionProvider>
      </QueryClientProvider>
    </StrictMode>,
  );
}

void begin();
