/** Text for machines: scrolls by itself, from the keyboard too. */

export function Code({ label, tall, children }: { label: string; tall?: boolean; children: string }) {
  return (
    <pre className={tall ? "tall" : undefined} tabIndex={0} role="group" aria-label={label}>
      {children}
    </pre>
  );
}
