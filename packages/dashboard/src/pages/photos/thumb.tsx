// A picture that only this browser sees: drawn from the local file, never fetched.
import { useEffect, useState } from 'react';

export function Thumb({ image, alt, className = '' }: { image: Blob; alt: string; className?: string }) {
  const url = useObjectUrl(image);
  const [broken, setBroken] = useState(false);
  if (url === undefined || broken) return <div className={`bg-sunken ${className}`} role="img" aria-label={alt} />;
  return <img src={url} alt={alt} className={`bg-sunken object-cover ${className}`} onError={() => setBroken(true)} />;
}

/** An address for a blob as long as the component lives. */
export function useObjectUrl(blob: Blob): string | undefined {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}
