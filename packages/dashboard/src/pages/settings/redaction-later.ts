// A value that follows another when that has rested: typing asks the server once, not at every key.
import { useEffect, useState } from 'react';

const REST_MS = 250;

export function useLater<Value extends string>(value: Value): Value {
  const [later, setLater] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setLater(value), REST_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return later;
}
