import type { Dice } from './variation.js'

const long = (part: string): string => {
  let name = ''
  while (Buffer.byteLength(name + part) <= 63) name += part
  return name.padEnd(name.length + 63 - Buffer.byteLength(name), 'z')
}

/** Names that people have and files of others do not expect. */
const odd = [
  ...[
    'order',
    'user',
    'select',
    'table',
    'offset',
    'end',
    'new',
    'old',
    'row',
    'key',
    'session',
    'excluded',
    'value',
    'type',
    'position',
  ],
  ...['Group', 'createdAt', 'Chat', 'MESSAGE', 'userID', '_id', 'order_no'],
  ...[
    'user id',
    'na"me',
    "it's",
    'naïve',
    'таблица',
    '表',
    'x.y',
    'a%b',
    'c$d',
    '1st',
    'back\\slash',
    'a=b',
    '(x)',
    'a-b',
    '%I',
    '$1',
    '{}',
    "'",
    ':x',
    '--',
    '/*',
    'e\u0301',
    '💬',
    'x$$y',
  ],
  ...[
    's',
    'c',
    'm',
    'w',
    'session_id',
    'title',
    'content',
    'status',
    'updated_at',
    'deleted_at',
    'workspace_id',
    'created_at',
    'user_id',
    'legacy',
    'reason',
    'original',
    'pending',
    'message',
    'role',
    'tenant',
    'conversation_id',
  ],
  ...['x', 'long', 'é', '界', 'A', '"'].map(part => long(part === 'long' ? 'a_name_' : part)),
]

/** A name as SQL that means it everywhere. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Names of one table or schema, none of them twice. */
export class Names {
  private readonly taken = new Set<string>()

  constructor(
    private readonly d: Dice,
    private readonly oddness: number,
  ) {}

  /** One of the usual names, or one that nobody expects. */
  one(usual: readonly string[]): string {
    for (;;) {
      const name = this.d.chance(this.oddness) ? this.d.one(odd) : this.d.one(usual)
      if (this.take(name)) return name
      if (usual.every(u => this.taken.has(u)) || this.d.chance(0.3)) {
        const other = `${this.d.one(usual)}_${this.d.upTo(999)}`
        if (this.take(other)) return other
      }
    }
  }

  private take(name: string): boolean {
    if (this.taken.has(name)) return false
    this.taken.add(name)
    return true
  }
}
