// A picture that only this browser sees: drawn from the local file, never fetched.
import { useEffect, useRef, useState } from 'react';

export function Thumb({ image, alt, className = '' }: { image: Blob; alt: string; className?: string }) {
  const shown = useRef<HTMLImageElement>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const url = URL.createObjectURL(image);
    if (shown.current) shown.current.src = url;
    return () => URL.revokeObjectURL(url);
  }, [image]);
  if (broken && alt === '') return <div className={`bg-sunken ${className}`} />;
  if (broken) return <div className={`bg-sunken ${className}`} role="img" aria-label={alt} />;
  return (
    <img ref={shown} alt={alt} className={`bg-sunken object-cover ${className}`} onError={() => setBroken(true)} />
  );
}

/** Hands a blob to the reader as a download. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // the download has begun with the click; the address is no longer needed after this turn
  window.setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
