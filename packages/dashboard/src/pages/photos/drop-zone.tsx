// Where pictures are dropped, chosen or pasted. Checks type and size before anything is read.
import { FolderOpen, ImageUp } from 'lucide-react';
import { useEffect, useId, useRef, useState, type DragEvent, type ReactNode } from 'react';
import { IMAGE_TYPES, MAX_IMAGE_BYTES } from '../../api/photos.ts';
import { Button } from '../../elements/button.tsx';
import { bytes } from '../../format/number.ts';
import { chooseFolder, filesOf } from './folders.ts';

interface DropZoneProps {
  title: string;
  children: ReactNode;
  multiple?: boolean;
  small?: boolean;
  /** Folders may be dropped or chosen too. */
  folders?: boolean;
  onFiles(files: File[]): void;
}

export function DropZone({ title, children, multiple = true, small = false, folders = false, onFiles }: DropZoneProps) {
  const [over, setOver] = useState(false);
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const paste = (event: ClipboardEvent): void => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length > 0) onFiles(files);
    };
    window.addEventListener('paste', paste);
    return () => window.removeEventListener('paste', paste);
  }, [onFiles]);
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    if (folders) void filesOf(event.dataTransfer).then(onFiles);
    else onFiles([...event.dataTransfer.files]);
  };
  return (
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={`rounded-md border border-dashed border-line-control bg-surface text-center focus-within:outline-2 focus-within:outline-accent ${over ? 'border-accent bg-accent-wash' : ''}`}
    >
      <label
        htmlFor={id}
        className={`flex cursor-pointer flex-col items-center gap-1.5 px-4 ${small ? 'py-5' : 'py-10'}`}
      >
        <ImageUp size={small ? 18 : 24} className="text-accent" aria-hidden />
        <span className="font-medium">{title}</span>
        <span className="text-xs text-ink-3">{children}</span>
      </label>
      <input
        ref={input}
        id={id}
        type="file"
        className="sr-only"
        accept={IMAGE_TYPES.join(',')}
        multiple={multiple}
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          // the same file may be chosen again
          event.target.value = '';
        }}
      />
      {folders && (
        <p className={small ? '-mt-4 pb-1' : 'pb-6'}>
          <Button look="quiet" icon={<FolderOpen size={14} aria-hidden />} onClick={() => chooseFolder(onFiles)}>
            Choose a folder
          </Button>
        </p>
      )}
    </div>
  );
}

/** Why a file would be refused, before it is sent; undefined when it may go. */
export function refusalOf(file: File): string | undefined {
  if (file.size === 0) return 'The file is empty.';
  if (file.size > MAX_IMAGE_BYTES)
    return `The file has ${bytes(file.size)}; at most ${bytes(MAX_IMAGE_BYTES)} are taken.`;
  if (!IMAGE_TYPES.some((type) => type === file.type)) return 'Only JPEG, PNG and WebP are taken.';
  return undefined;
}
