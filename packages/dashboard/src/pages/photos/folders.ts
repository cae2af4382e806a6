// Files out of dropped or chosen folders: bounded, hidden ones left out.

/** Beyond this nothing more is read out of folders; the list takes no more anyway. */
const MAX_FILES = 2_000;
const MAX_DEPTH = 16;

const isHidden = (name: string): boolean => name.startsWith('.');

/** Everything that was dropped, with the files inside of dropped folders. */
export async function filesOf(transfer: DataTransfer): Promise<File[]> {
  const loose = [...transfer.files];
  // entries can only be asked for while the drop is being handled, so all of them before the first await
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  if (!entries.some((entry) => entry?.isDirectory)) return loose;
  const files: File[] = [];
  for (const entry of entries) if (entry !== null) await gather(entry, 0, files);
  return files;
}

async function gather(entry: FileSystemEntry, depth: number, files: File[]): Promise<void> {
  if (files.length >= MAX_FILES || depth > MAX_DEPTH || isHidden(entry.name)) return;
  if (isFile(entry)) {
    files.push(await new Promise<File>((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  if (!isFolder(entry)) return;
  const reader = entry.createReader();
  // a reader answers a hundred at a time, and nothing when it is at its end
  while (files.length < MAX_FILES) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const child of some) await gather(child, depth + 1, files);
  }
}

const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile;
const isFolder = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;

/** Opens the browser's dialog for a folder. */
export function chooseFolder(onFiles: (files: File[]) => void): void {
  const input = document.createElement('input');
  input.type = 'file';
  input.webkitdirectory = true;
  input.addEventListener('change', () =>
    onFiles([...(input.files ?? [])].filter(({ name }) => !isHidden(name)).slice(0, MAX_FILES)),
  );
  input.click();
}
