import { Names, quoted } from './random_names.js'
import { type ColumnWish, type RandomTable, Tables } from './random_tables.js'
import {
  contentTypes,
  idType,
  personType,
  type RandomType,
  roleTypes,
  timeTypes,
  typesOf,
} from './random_types.js'
import { type Dice, diceOf } from './variation.js'

/** An application of somebody else, made at random: what a track is for, under names and types of its own. */
export interface RandomApplication {
  /** What was chosen, for a failure's message. */
  ways: string[]
  /** Statements that make it, on a database with the stand-in for Supabase. */
  make: string[]
  /** What is said to `init`: everything. */
  answers: { track: string; zone?: string; map: Record<string, string>; values?: Record<string, string> }
  /** What `init` may refuse, in words of its findings. */
  refused: RegExp[]
  /** What the application sends: other rows each time. */
  old: (time: number) => string[]
  /** SQL of the number of rows that are left where they were. */
  left: string
  /** SQL of the number of messages, before the migration and after the contract phase. */
  before: string
  after: string
  /** What the new application sends, beside the old one and after it, with the messages that it adds. */
  fresh: (time: number) => string[]
  added: number
  /** Roles of the application, on a plain PostgreSQL. */
  plain: boolean
  /** True where rows are somebody's, so that users can be sampled. */
  sampled: boolean
  /** True where names of new tables are chosen, which nobody can guess. */
  chosen: boolean
}

const turns = (type: string) => (n: string) =>
  `(case (${n})::int % 3 when 0 then '[]' else '[{"role":"user","content":"a question"},{"role":"assistant","content":"an answer"}]' end)::${type}`

/** Names of roles of a plain PostgreSQL: they are those of a server, which its databases share. */
export const plainRoles = ['"Vary Rw"', 'vary_ro']

/** The tables of one track, with what is sent to them. */
type Make = (
  t: Tables,
  people: RandomTable,
  d: Dice,
) => Omit<RandomApplication, 'ways' | 'make' | 'answers' | 'refused' | 'plain' | 'sampled' | 'chosen'> & {
  messages: RandomTable
  owner: string | null
}

const who = ['user_id', 'author_id', 'owner_id', 'created_by', 'sender']
const when = ['created_at', 'sent_at', 'inserted_at', 'createdAt']

/** The columns of a table without some of those that a track can do without. */
function without(
  t: Tables,
  d: Dice,
  entity: string,
  columns: string[],
  wishes: Record<string, ColumnWish>,
): Record<string, ColumnWish> {
  const lacks = columns.filter(() => d.chance(0.35))
  for (const column of lacks) {
    t.map[`${entity}.${column}`] = 'none'
    t.ways.push(`no ${entity}.${column}`)
  }
  return Object.fromEntries(Object.entries(wishes).filter(([column]) => !lacks.includes(column)))
}

const makes: Record<string, Make> = {
  'workspace-sessions': (t, people, d) => {
    const rooms = t.add(
      'workspaces',
      ['workspaces', 'rooms', 'organizations', 'Group'],
      noted(t, 'workspaces.id', idType(d, true)),
      5,
      {
        owner_id: { usual: who, of: people, required: d.chance(0.5) },
        name: { usual: ['name', 'label'], sql: 'text', value: () => `'a room'` },
      },
    )
    const role = d.one(roleTypes)
    const keys = d.one(['key', 'key', 'key', 'both', 'unique', 'none'])
    if (keys !== 'key') t.ways.push(`keys ${keys}`)
    const messages = t.add(
      'chats',
      ['chats', 'messages', 'posts', 'chat_messages'],
      noted(t, 'chats.id', idType(d, false)),
      40,
      without(t, d, 'chats', ['role'], {
        workspace_id: { usual: ['workspace_id', 'room_id', 'org_id', 'channel'], of: rooms, required: false },
        user_id: { usual: who, of: people, required: false },
        role: { usual: ['role', 'kind', 'sender_type'], type: role, required: true },
        message: { usual: ['message', 'body', 'content', 'text'], type: d.one(contentTypes) },
        created_at: { usual: when, type: d.one(timeTypes), required: d.chance(0.5) },
      }),
      m => keyText(keys, m),
    )
    if (keys === 'unique')
      t.statements.push(`alter table ${messages.sql} alter column ${messages.column('id')} set not null`)
    const sessions = made(t, d, 'chat_sessions', ['chat_sessions', 'threads', 'talks'])
    const link = t.map['chats.session_id'] ?? 'session_id'
    const lost = d.chance(0.5)
    if (lost) t.statements.push(messages.insert(900, { workspace_id: 'null', user_id: 'null' }))
    return {
      messages,
      owner: messages.column('user_id'),
      old: time => [1, 2, 3].map(k => messages.insert(1000 + 10 * time + k)),
      left: `select count(*)::int as n from ${messages.sql} where ${link} is null and ${messages.column('workspace_id')} is not null`,
      before: `select count(*)::int as n from ${messages.sql}`,
      after: `select ((select count(*) from ${messages.sql}) + (select count(distinct (relation, key)) from rethread_archive.quarantine))::int as n`,
      fresh: time => [
        `do $do$ declare one ${sessions}.id%type; begin
          insert into ${sessions} (workspace_id, user_id) values (${rooms.idOf(1)}, ${people.idOf(1)}) returning id into one;
          perform set_config('vary.one', one::text, false); end $do$`,
        messages
          .insert(3000 + time, { workspace_id: rooms.idOf(1), user_id: people.idOf(1) })
          .replace(
            /^(insert into .*?) \((.*)\) values \((.*)\)$/s,
            `$1 (${link.replaceAll('$', '$$$$')}, $2) values (current_setting('vary.one')::uuid, $3)`,
          ),
      ],
      added: 1,
    }
  },
  'conversation-history': (t, people, d) => {
    const alone = d.chance(0.35)
    const tenants = alone
      ? null
      : t.add(
          'tenants',
          ['tenants', 'organizations', 'firms', 'teams'],
          noted(t, 'tenants.id', idType(d, true)),
          3,
          {
            name: { usual: ['name'], sql: 'text', value: () => `'a firm'` },
          },
        )
    if (tenants) {
      const members = t.add(
        'tenant_users',
        ['tenant_users', 'memberships', 'members'],
        people.id,
        12,
        without(t, d, 'tenant_users', ['role'], {
          'no id': { usual: [] },
          tenant_id: {
            usual: ['tenant_id', 'org_id', 'firm_id'],
            of: tenants,
            to: n => `1 + ((${n})::int - 1) / 4`,
          },
          user_id: { usual: who, of: people, to: n => `1 + ((${n})::int - 1) % 4` },
          role: { usual: ['role', 'level'], type: d.one(memberRoles), required: true },
        }),
        m => `primary key (${m.column('tenant_id')}, ${m.column('user_id')})`,
      )
      if (!t.plain)
        t.statements.push(
          `alter table ${members.sql} enable row level security`,
          `create policy "seen" on ${members.sql} for select using (true)`,
        )
    }
    const sessions = t.add(
      'chat_sessions',
      ['chat_sessions', 'threads', 'Chat', 'conversations_old'],
      noted(t, 'chat_sessions.id', idType(d, true)),
      12,
      without(t, d, 'chat_sessions', ['title', 'metadata', 'updated_at'], {
        ...(tenants ? { tenant_id: { usual: ['tenant_id', 'org_id', 'firm_id'], of: tenants } } : {}),
        user_id: { usual: who, of: people },
        title: {
          usual: ['title', 'subject'],
          sql: d.one(['text', 'varchar(80)']),
          value: n => `'thread ' || (${n})`,
        },
        messages: { usual: ['messages', 'turns', 'history'], ...document(d) },
        metadata: {
          usual: ['metadata', 'meta', 'settings'],
          sql: 'jsonb',
          value: () => `'{"k": 1}'`,
          required: false,
        },
        created_at: { usual: when, type: d.one(timeTypes) },
        updated_at: { usual: ['updated_at', 'changed_at', 'updatedAt'], type: d.one(timeTypes) },
      }),
    )
    if (!tenants) Object.assign(t.map, { tenants: 'none' })
    const conversations = made(t, d, 'conversations', ['conversations', 'dialogues'])
    const messages = made(t, d, 'messages', ['messages', 'utterances'])
    const count = (of: string) =>
      `(select coalesce(sum(json_array_length(${sessions.column('messages')}::json)), 0) from ${of})`
    return {
      messages: sessions,
      owner: sessions.column('user_id'),
      old: time => [
        ...[1, 2].map(k => sessions.insert(1000 + 10 * time + k)),
        `update ${sessions.sql} set ${sessions.column('messages')} = (${sessions.column('messages')}::jsonb || '{"role":"user","content":"more"}') where ${sessions.column('id')} = ${sessions.idOf(2)}`.replace(
          "}')",
          `}')${sessions.columns.find(c => c.role === 'messages')!.sql.startsWith('json ') ? '::json' : ''}`,
        ),
        ...(sessions.id.makes === null
          ? [
              `delete from ${sessions.sql} where ${sessions.column('id')} = ${sessions.idOf(1000 + 10 * time + 1)}`,
            ]
          : []),
      ],
      left: `select count(*)::int as n from ${sessions.sql} s where not exists (select from ${conversations} c where c.id = s.${sessions.column('id')})`,
      before: `select ${count(sessions.sql)}::int as n`,
      after: `select ((select count(*) from ${messages}) + (select count(distinct (relation, key)) from rethread_archive.quarantine))::int as n`,
      fresh: () => [
        `with opened as (insert into ${conversations} (${tenants ? 'tenant_id, ' : ''}user_id) values (${tenants ? `${tenants.idOf(1)}, ` : ''}${people.idOf(1)}) returning id)
         insert into ${messages} (conversation_id, role, content) select id, 'user', 'hello' from opened`,
      ],
      added: 1,
    }
  },
  'helper-chats': (t, people, d) => {
    const projects = t.add(
      'projects',
      ['projects', 'apps', 'boards'],
      noted(t, 'projects.id', idType(d, true)),
      6,
      {
        user_id: { usual: who, of: people },
        name: { usual: ['name'], sql: 'text', value: () => `'a project'` },
      },
    )
    const sessions = made(t, d, 'chat_sessions', ['chat_sessions', 'threads'])
    const messages = made(t, d, 'chat_messages', ['chat_messages', 'lines'])
    return {
      messages: projects,
      owner: projects.column('user_id'),
      old: time => [projects.insert(1000 + 10 * time)],
      left: 'select 0 as n',
      before: 'select 0 as n',
      after: `select count(*)::int as n from ${messages}`,
      fresh: () => [
        `with opened as (insert into ${sessions} (project_id, user_id, helper) values (${projects.idOf(1)}, ${people.idOf(2)}, 'h') returning id)
         insert into ${messages} (session_id, role, content) select id, 'user', 'hello' from opened`,
      ],
      added: 1,
    }
  },
  'codebase-sessions': (t, people, d) => {
    const sessions = made(t, d, 'codebase_chat_sessions', ['codebase_chat_sessions', 'code_chats'])
    return {
      messages: people,
      owner: null,
      old: time => [people.insert(1000 + 10 * time)],
      left: 'select 0 as n',
      before: 'select 0 as n',
      after: `select count(*)::int as n from ${sessions}`,
      fresh: time => [
        `insert into ${sessions} (session_id, user_id) values ('chat-${time}-abc', ${people.idOf(1)})`,
      ],
      added: 1,
    }
  },
  'trip-sessions': (t, _people, d) => {
    const agents = t.add(
      'iso_agents',
      ['iso_agents', 'agents', 'brokers'],
      noted(t, 'iso_agents.id', idType(d, true)),
      4,
      {
        clerk_user_id: {
          usual: ['clerk_user_id', 'clerk_id', 'external_id'],
          sql: d.one(['text', 'varchar(60)']),
          value: n => `'user_' || (${n})`,
          required: true,
        },
      },
      a => `primary key (${a.column('id')}), unique (${a.column('clerk_user_id')})`,
    )
    const requests = t.add(
      'requests',
      ['requests', 'trips', 'inquiries'],
      noted(t, 'requests.id', idType(d, true)),
      8,
      without(t, d, 'requests', ['departure_airport', 'arrival_airport'], {
        iso_agent_id: { usual: ['iso_agent_id', 'agent_id', 'broker_id'], of: agents, required: false },
        departure_airport: { usual: ['departure_airport', 'origin'], sql: 'text', value: () => `'AAA'` },
        arrival_airport: {
          usual: ['arrival_airport', 'destination'],
          sql: 'varchar(9)',
          value: () => `'BBB'`,
        },
      }),
    )
    t.add('quotes', ['quotes', 'offers'], noted(t, 'quotes.id', idType(d, true)), 4, {
      request_id: { usual: ['request_id', 'trip_id'], of: requests, required: false },
    })
    t.add('proposals', ['proposals', 'suggestions'], noted(t, 'proposals.id', idType(d, true)), 3, {
      request_id: { usual: ['request_id', 'trip_id'], of: requests, required: false },
    })
    const threads = t.add(
      'conversations',
      ['conversations', 'threads', 'Dialog'],
      noted(t, 'conversations.id', idType(d, true)),
      8,
      without(t, d, 'conversations', ['subject'], {
        request_id: {
          usual: ['request_id', 'trip_id'],
          of: requests,
          required: false,
          to: n => `1 + ((${n})::int - 1) % 8`,
        },
        subject: { usual: ['subject', 'topic'], sql: 'text', value: () => `'a subject'` },
      }),
    )
    const messages = t.add(
      'messages',
      ['messages', 'posts', 'lines'],
      noted(t, 'messages.id', idType(d, false)),
      40,
      {
        conversation_id: { usual: ['conversation_id', 'thread_id'], of: threads },
        content: { usual: ['content', 'body', 'text'], type: d.one(contentTypes) },
        created_at: { usual: when, type: d.one(timeTypes), required: d.chance(0.5) },
        // the track reads it if it has one of its names
        sender_type: { usual: [], sql: 'text', value: () => `'agent'`, required: true },
      },
    )
    const sessions = made(t, d, 'chat_sessions', ['chat_sessions', 'desks'])
    return {
      messages,
      owner: null,
      old: time => [
        threads.insert(1000 + 10 * time),
        messages.insert(1000 + 10 * time),
        messages.insert(1001 + 10 * time),
      ],
      left: `select count(*)::int as n from ${threads.sql} t where ${threads.column('request_id')} is not null and exists (select from ${messages.sql} m where m.${messages.column('conversation_id')} = t.${threads.column('id')}) and not exists (select from ${sessions} s where s.conversation_id = t.${threads.column('id')})`,
      before: `select count(*)::int as n from ${messages.sql}`,
      after: `select count(*)::int as n from ${messages.sql}`,
      fresh: time => [messages.insert(3000 + time)],
      added: 1,
    }
  },
}

const memberRoles: RandomType[] = [
  {
    kind: 'member role as text',
    sql: 'text',
    value: n => `(array['owner','user'])[1 + (${n})::int % 2]`,
    makes: null,
  },
  { kind: 'member role as varchar', sql: 'varchar(10)', value: () => `'admin'`, makes: null },
  { kind: 'member role as enum', sql: 'public.member_role', value: () => `'member'`, makes: null },
]

const document = (d: Dice) => {
  const sql = d.one(['jsonb', 'jsonb', 'json'])
  return { sql, value: turns(sql), required: true }
}

function noted(t: Tables, role: string, type: RandomType): RandomType {
  t.note(role, type)
  return type
}

/** A table of the track, under its own name or under one that is chosen; that as SQL. */
function made(t: Tables, d: Dice, entity: string, usual: string[]): string {
  const taken = Object.values(t.map).includes(`"public".${quoted(entity)}`)
  if (!taken && d.chance(0.7)) return `public.${entity}`
  const name = new Names(d, 0.5).one(usual.slice(taken ? 1 : 0))
  const isTaken = Object.values(t.map).includes(`"public".${quoted(name)}`) || name === 'chat_messages'
  const sql = `"public".${quoted(isTaken ? `${entity}_of_ours` : name)}`
  t.ways.push(`${entity} as ${sql}`)
  t.map[entity] = sql
  t.chosen = true
  return sql
}

function keyText(keys: string, m: RandomTable): string {
  const id = m.column('id')
  if (keys === 'both') return `primary key (${m.column('role')}, ${id})`
  if (keys === 'unique') return `unique (${id})`
  return keys === 'none' ? '' : `primary key (${id})`
}

/** The application of one seed. */
export function randomApplication(track: string, seed: number): RandomApplication {
  const d = diceOf(track, seed + 7_000_003)
  const t = new Tables(d, d.one([0, 0.15, 0.5, 0.9]))
  const plain = d.chance(0.4)
  t.plain = plain
  const hosted = !plain && track !== 'trip-sessions' && d.chance(0.5)
  t.ways.push(plain ? 'plain' : hosted ? 'auth.users' : 'users of its own')
  const type = hosted ? personType({ ...d, one: from => from[0]! }) : noted(t, 'users.id', personType(d))
  t.statements.push(...typesOf.split(';').filter(s => s.trim()))
  if (plain)
    t.statements.push(
      'drop schema auth cascade',
      'alter default privileges in schema public revoke all on tables from anon, authenticated, service_role',
    )
  const people =
    track === 'trip-sessions'
      ? null!
      : hosted
        ? t.standing('users', 'auth.users', type, 4)
        : t.add('users', ['users', 'accounts', 'people', 'User'], type, 4, {
            email: { usual: [], sql: 'text', value: n => `'p' || (${n})` },
          })
  const made = makes[track]!(t, people, d)
  const { messages, owner, ...application } = made
  const identity = identityOf(d, t, { track, plain, type, hosted })
  if (!plain && identity) t.map.identity = identity
  // an admin reads more than a policy of the owner's rows lets them read today
  const admins = t.ways.some(w => w.endsWith('member role as varchar'))
  // what was written on the day of the migration cannot be told from what stood before it
  const coarse = t.ways.some(w => /created_at date/.test(w))
  if (identity && owner && !admins && !coarse && d.chance(plain ? 0.5 : 0.6)) {
    t.ways.push('row security')
    if (plain) t.map.identity = identity
    const to = plain ? plainRoles[0] : 'authenticated'
    t.statements.push(
      `alter table ${messages.sql} enable row level security`,
      `create policy "own rows" on ${messages.sql} to ${to} using (${owner} = ${identity})`,
      ...(plain
        ? [`create policy "all rows" on ${messages.sql} for select to ${plainRoles[1]} using (true)`]
        : []),
    )
  }
  const users = plain ? plainRoles.join(', ') : 'authenticated, service_role'
  for (const schema of t.schemas)
    t.statements.push(
      `grant usage on schema ${quoted(schema)} to ${users}`,
      plain
        ? `grant select, insert, update, delete on all tables in schema ${quoted(schema)} to ${plainRoles[0]}; grant select on all tables in schema ${quoted(schema)} to ${plainRoles[1]}`
        : `grant select, insert, update, delete on all tables in schema ${quoted(schema)} to ${users}`,
      `grant usage on all sequences in schema ${quoted(schema)} to ${users}`,
    )
  return {
    ...application,
    plain,
    chosen: t.chosen,
    sampled: !plain || t.ways.includes('row security'),
    ways: t.ways,
    make: t.statements,
    refused: t.refused,
    answers: {
      track,
      ...(t.zoneless ? { zone: 'UTC' } : {}),
      map: t.map,
      ...(Object.keys(t.values).length > 0 ? { values: t.values } : {}),
    },
  }
}

/** SQL of the person who asks. Null where nobody says. */
function identityOf(
  d: Dice,
  t: Tables,
  is: { track: string; plain: boolean; type: RandomType; hosted: boolean },
): string | null {
  if (is.track === 'trip-sessions' || is.hosted) return is.hosted ? 'auth.uid()' : null
  const base = /uuid/.test(is.type.sql)
    ? 'uuid'
    : /number|bigint|bigserial/.test(is.type.sql)
      ? 'bigint'
      : /int|serial/.test(is.type.sql)
        ? 'integer'
        : null
  const setting = is.plain
    ? d.one([
        `nullif(current_setting('app.user_id', true), '')`,
        `nullif(current_setting('request.user', true), '')`,
      ])
    : `(auth.jwt() ->> 'sub')`
  if (!is.plain && base === 'uuid' && d.chance(0.5)) return 'auth.uid()'
  t.ways.push(`identity ${setting}`)
  return base ? `(${setting})::${base}` : setting
}
