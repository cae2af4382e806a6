// A plain table for a few dozen rows; long lists are virtual and live with their page.
import type { ReactNode } from 'react';

interface TableProps {
  label: string;
  head: readonly ReactNode[];
  rows: readonly { id: string; cells: readonly ReactNode[]; onOpen?: () => void; openLabel?: string }[];
  /** Columns from this one on are numbers, set to the right. */
  numbersFrom?: number;
}

export function Table({ label, head, rows, numbersFrom = Number.POSITIVE_INFINITY }: TableProps) {
  const side = (column: number): string => (column >= numbersFrom ? 'text-right' : 'text-left');
  return (
    <div className="scroll-quiet relative overflow-x-auto" role="region" aria-label={label} tabIndex={0}>
      <table className="w-full border-collapse">
        <thead>
          <tr className="border-b">
            {head.map((title, column) => (
              <th
                key={column}
                scope="col"
                className={`h-8 px-3 text-xs font-medium whitespace-nowrap text-ink-3 first:pl-4 last:pr-4 ${side(column)}`}
              >
                {title || <span className="sr-only">Actions</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={row.id}
              className={`border-b last:border-0 ${row.onOpen ? 'cursor-pointer hover:bg-hover' : ''}`}
              onClick={row.onOpen}
            >
              {row.cells.map((cell, column) => (
                <td key={column} className={`h-9 px-3 whitespace-nowrap first:pl-4 last:pr-4 ${side(column)}`}>
                  {column === 0 && row.onOpen ? (
                    <button type="button" className="hover:underline" aria-label={row.openLabel}>
                      {cell}
                    </button>
                  ) : (
                    cell
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
