// Where a picture was changed: it is drawn from the local file, with the parts that lack the watermark framed.
import { useEffect, useRef, useState } from 'react';
import type { ChangedRegion } from '../../api/photos.ts';
import { probability } from '../../format/number.ts';
import { WithPowers } from './with-powers.tsx';

interface Size {
  width: number;
  height: number;
}

/** Regions are in pixels as the file stores them, so it is drawn as it is stored: not turned by its EXIF orientation. */
export function ChangeMap({ image, regions }: { image: Blob; regions: readonly ChangedRegion[] }) {
  const shown = useRef<HTMLImageElement>(null);
  const [size, setSize] = useState<Size | null>(null);
  useEffect(() => {
    const url = URL.createObjectURL(image);
    if (shown.current) shown.current.src = url;
    return () => URL.revokeObjectURL(url);
  }, [image]);
  return (
    <section className="border-t px-4 py-3">
      <h2 className="mb-2 text-xs font-medium text-ink-3">Where it was changed</h2>
      <div className="relative w-fit max-w-full">
        <img
          ref={shown}
          alt={`The picture with ${count(regions.length)} framed`}
          style={{ imageOrientation: 'none' }}
          className="max-h-[420px] max-w-full rounded-sm bg-sunken"
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
            setSize({ width: naturalWidth, height: naturalHeight })
          }
        />
        {size !== null &&
          regions.map((region, index) => (
            <div
              key={index}
              aria-hidden
              data-region={index + 1}
              className="absolute rounded-xs border-2 border-error shadow-[0_0_0_1px_#fff,inset_0_0_0_1px_#fff]"
              style={frameOf(region, size)}
            >
              <span className="absolute top-0 left-0 rounded-br-xs bg-error px-1 text-xs font-semibold text-surface">
                {index + 1}
              </span>
            </div>
          ))}
      </div>
      <ol className="mt-2 flex flex-col gap-1 text-xs text-ink-2">
        {regions.map(({ x, y, width, height, log10p }, index) => (
          <li key={index}>
            {index + 1}: {width} × {height} px from ({x}, {y}); the mark is missing there though it is elsewhere, or one
            colour covers what the fingerprint recorded. By chance that happens with probability about{' '}
            <WithPowers text={probability(log10p)} />.
          </li>
        ))}
      </ol>
    </section>
  );
}

const count = (regions: number): string => (regions === 1 ? 'one changed part' : `${regions} changed parts`);

const percent = (part: number, whole: number): string => `${(100 * part) / whole}%`;

function frameOf({ x, y, width, height }: ChangedRegion, size: Size) {
  return {
    left: percent(x, size.width),
    top: percent(y, size.height),
    width: percent(width, size.width),
    height: percent(height, size.height),
  };
}
