// Probabilities in running text.

/** `10^-9` as a raised exponent. */
export function WithPowers({ text }: { text: string }) {
  return text.split(/(\d × 10\^-?\d+)/).map((piece, at) => {
    const [base, exponent] = piece.split('^');
    if (exponent === undefined) return piece;
    return (
      <span key={at} className="whitespace-nowrap">
        {base}
        <sup>{exponent.replace('-', '−')}</sup>
      </span>
    );
  });
}
