// First line of a file's card: its name, its size, and a button that takes it off the list when nothing is under way.
import { X } from 'lucide-react';
import { IconButton } from '../../elements/button.tsx';
import { bytes } from '../../format/number.ts';

interface TaskTitleProps {
  file: File;
  isWorking: boolean;
  onRemove: () => void;
}

export function TaskTitle({ file, isWorking, onRemove }: TaskTitleProps) {
  return (
    <p className="flex items-center gap-2">
      <span className="truncate font-medium">{file.name}</span>
      <span className="text-xs whitespace-nowrap text-ink-3">{bytes(file.size)}</span>
      <span className="flex-1" />
      {!isWorking && (
        <IconButton label={`Take ${file.name} off the list`} className="!h-6 !w-6" onClick={onRemove}>
          <X size={14} />
        </IconButton>
      )}
    </p>
  );
}
