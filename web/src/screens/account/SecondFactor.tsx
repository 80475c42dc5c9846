/** Pair a phone: its authenticator reads the code, and proves it with six digits. */

import { useState } from "react";
import { api } from "../../api/client";
import { useSend } from "../../api/hooks";
import { useSession, useStanding } from "../../api/session";
import type { SecondFactor } from "../../api/types";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { TextField } from "../../parts/Field";
import { Loading, Problem } from "../../parts/Problem";
import { useToast } from "../../parts/Toast";
import { useQuery } from "@tanstack/react-query";
import type { ApiProblem } from "../../api/problem";
import { useWords } from "../../words";

const DIGITS = 6;

export function SecondFactorDialog({ onClose }: { onClose: () => void }) {
  const say = useWords("account");
  const toast = useToast();
  const session = useSession();
  const { enter } = useStanding();
  const [code, setCode] = useState("");
  // A change, yet asked for once when the dialog opens: a query knows once, an effect does not.
  const offer = useQuery<SecondFactor, ApiProblem>({
    queryKey: ["session", "second-factor"],
    queryFn: () => api.post<SecondFactor>("/session/second-factor"),
    staleTime: Infinity,
    gcTime: 0,
    retry: false,
  });
  const confirm = useSend(
    () => api.put<{ second_factor: boolean }>("/session/second-factor", { code }),
    {
      refresh: ["/sessions"],
      done: () => {
        enter({ ...session, second_factor: true });
        toast(say("second.done"));
        onClose();
      },
    },
  );
  return (
    <Dialog
      open
      wide
      title={say("second.title")}
      onClose={onClose}
      onSubmit={() => code.length === DIGITS && confirm.mutate(undefined)}
      actions={
        <>
          <Button onClick={onClose}>{say("cancel")}</Button>
          <Button
            type="submit"
            kind="primary"
            busy={confirm.isPending}
            disabled={code.length !== DIGITS}
          >
            {say("second.confirm")}
          </Button>
        </>
      }
    >
      {offer.isPending && <Loading />}
      {offer.error && <Problem error={offer.error} />}
      {offer.data && (
        <div className="pairing">
          <img className="pairing-code" src={pictureOf(offer.data.qr_svg)} alt={say("second.qr")} />
          <div className="stack">
            <p>{say("second.scan")}</p>
            <p className="quiet">{say("second.byHand")}</p>
            <code className="pairing-secret">{inGroups(offer.data.secret)}</code>
            <TextField
              label={say("second.code")}
              inputMode="numeric"
              autoComplete="one-time-code"
              maxLength={DIGITS}
              value={code}
              onValue={setCode}
            />
          </div>
        </div>
      )}
      {confirm.error && <Problem error={confirm.error} />}
    </Dialog>
  );
}

const XMLNS = "http://www.w3.org/2000/svg";

/** A drawing as the address of a picture: nothing of it becomes part of the page. */
function pictureOf(svg: string): string {
  const whole = svg.includes("xmlns") ? svg : svg.replace("<svg", `<svg xmlns="${XMLNS}"`);
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(whole)}`;
}

const inGroups = (secret: string) => secret.replace(/(.{4})(?=.)/g, "$1 ");
