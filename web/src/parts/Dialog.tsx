/** A question before anything else goes on. The browser keeps the focus inside and gives it back. */

import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import type { ApiProblem } from "../api/problem";
import { useWords } from "../words";
import { Button } from "./Button";
import { AreaField } from "./Field";
import { Problem } from "./Problem";

export type DialogProps = {
  open: boolean;
  title: string;
  onClose: () => void;
  /** Buttons at the foot. */
  actions?: ReactNode;
  wide?: boolean;
  /** It cannot be closed without an answer. */
  firm?: boolean;
  /** Makes the dialog a form: Enter in a field does this. */
  onSubmit?: () => void;
  children?: ReactNode;
};

const FIELDS = ".dialog-body :is(input:not([readonly], [type=radio]), select, textarea)";

export function Dialog(props: DialogProps) {
  return props.open ? <OpenDialog {...props} /> : null;
}

function OpenDialog({ title, onClose, actions, wide, firm, onSubmit, children }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  const say = useWords("parts");
  useEffect(() => {
    const element = box.current!;
    if (!element.open) element.showModal();
    // The first thing to fill in, or else the question itself: never the cross.
    const field = element.querySelector<HTMLElement>(FIELDS) ?? element.querySelector("h2");
    field?.focus();
    return () => element.close();
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  return (
    <dialog
      ref={box}
      className={wide ? "dialog dialog-wide" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!firm) onClose();
      }}
    >
      <form className="dialog-form" noValidate onSubmit={submit}>
        <header className="dialog-head">
          <h2 id={id} tabIndex={-1}>{title}</h2>
          {!firm && (
            <Button kind="quiet" icon="cross" aria-label={say("close")} onClick={onClose} />
          )}
        </header>
        <div className="dialog-body">{children}</div>
        {actions && <footer className="dialog-foot">{actions}</footer>}
      </form>
    </dialog>
  );
}

/** Ask for a reason, then do it: whatever ends or refuses something is done with one. */
export function ReasonDialog({
  open,
  title,
  children,
  verb,
  danger,
  busy,
  error,
  disabled,
  onClose,
  onReason,
}: {
  open: boolean;
  title: string;
  children?: ReactNode;
  /** What the button says. */
  verb: string;
  danger?: boolean;
  busy?: boolean;
  error?: ApiProblem | null;
  /** Something else is missing yet. */
  disabled?: boolean;
  onClose: () => void;
  onReason: (reason: string) => void;
}) {
  const [reason, setReason] = useState("");
  const say = useWords("parts");
  const isReady = !disabled && reason.trim() !== "";
  const send = () => isReady && !busy && onReason(reason.trim());
  return (
    <Dialog
      open={open}
      title={title}
      onClose={onClose}
      onSubmit={send}
      actions={
        <>
          <Button onClick={onClose}>{say("cancel")}</Button>
          <Button
            type="submit"
            kind={danger ? "danger" : "primary"}
            busy={busy}
            disabled={!isReady}
          >
            {verb}
          </Button>
        </>
      }
    >
      {children}
      <AreaField
        label={say("reason")}
        help={say("reasonHelp")}
        value={reason}
        onValue={setReason}
        maxLength={500}
      />
      {error && <Problem error={error} />}
    </Dialog>
  );
}
