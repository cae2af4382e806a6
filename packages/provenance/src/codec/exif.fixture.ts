// EXIF for tests: what sharp writes into a file, and whether a position is still in one.
import sharp, { type Exif } from 'sharp';
import { hasGps } from './exif.ts';

/** A camera's EXIF with author and a position. */
export function exifFixture(): Exif {
  return {
    IFD0: { Copyright: 'A. Photographer', Make: 'Camera' },
    IFD2: { ExposureTime: '1/250', UserComment: 'kept' },
    IFD3: {
      GPSLatitudeRef: 'N',
      GPSLatitude: '51/1 30/1 3230/100',
      GPSLongitudeRef: 'W',
      GPSLongitude: '0/1 7/1 4366/100',
    },
  };
}

/** Whether the file's EXIF tells a position, as we read it. */
export async function gpsOf(file: Uint8Array): Promise<boolean> {
  const { exif } = await sharp(file).metadata();
  if (!exif) return false;
  return hasGps(exif.subarray(0, 4).toString('latin1') === 'Exif' ? exif.subarray(6) : exif);
}
