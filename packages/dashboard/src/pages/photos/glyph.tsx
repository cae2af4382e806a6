// A fingerprint as a picture: one square per bit, so that two of them can be told apart at a glance.

export function Glyph({ hex }: { hex: string }) {
  const bits = [...hex].flatMap((digit) => [...Number.parseInt(digit, 16).toString(2).padStart(4, '0')]);
  const side = Math.ceil(Math.sqrt(bits.length));
  return (
    <svg
      viewBox={`0 0 ${side} ${side}`}
      className="mx-auto block w-full max-w-48 rounded-sm bg-sunken"
      role="img"
      aria-label={`Fingerprint ${hex}`}
      shapeRendering="crispEdges"
    >
      {bits.map((bit, at) =>
        bit === '1' ? (
          <rect key={at} x={at % side} y={Math.floor(at / side)} width="1" height="1" fill="var(--accent)" />
        ) : null,
      )}
    </svg>
  );
}
