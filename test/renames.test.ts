import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readMap } from '../src/adapt/mapping.js'
import { readTrackNames, trackRewriter } from '../src/adapt/rewrite_track.js'
import { filled } from '../src/adapt/scope.js'
import { discover, projectFolders } from '../src/files/discover.js'
import { parseStatements } from '../src/files/statements.js'
import { readTrackInfo } from '../src/files/track_info.js'
import { root } from './support/database.js'

const { tracks } = discover(root)
const trackNamed = (name: string) => tracks.find(t => t.name === name)!

async function rewriter(name: string, map: string[]) {
  const track = trackNamed(name)
  return trackRewriter(track, (await readTrackInfo(track)).info, readMap(map))
}

/** A text of workspace-sessions under these names; what comes out is SQL again. */
async function renamed(map: string[], text: string): Promise<string> {
  const now = await (await rewriter('workspace-sessions', map))('migrations', '900_example.sql', text)
  await parseStatements(now)
  return now
}

const body = (inner: string, language = 'plpgsql') =>
  `create function chat_private.f(at int) returns int language ${language} as $$\n${inner}\n$$;`

/** what it shows, the mapping, the text, and what it becomes. */
const cases: [string, string[], string, string][] = [
  [
    'a column of one table leaves the same name of another alone',
    ['chats.workspace_id=org_id'],
    'select c.workspace_id as a, s.workspace_id as b from public.chats c join public.chat_sessions s on s.workspace_id = c.workspace_id;',
    'select c.org_id as a, s.workspace_id as b from public.chats c join public.chat_sessions s on s.workspace_id = c.org_id;',
  ],
  [
    'a new name that the track has elsewhere',
    ['workspaces.owner_id=user_id'],
    'update public.chat_sessions s set user_id = w.owner_id from public.workspaces w where w.owner_id <> s.user_id;',
    'update public.chat_sessions s set user_id = w.user_id from public.workspaces w where w.user_id <> s.user_id;',
  ],
  [
    'comments, literals and titles keep their words',
    ['chats=posts', 'chats.message=body'],
    "--! title: A message of chats\n\n-- each message of chats\nselect 'a message of chats' as text from public.chats c where c.message = 'message';",
    "--! title: A message of chats\n\n-- each message of chats\nselect 'a message of chats' as text from public.posts c where c.body = 'message';",
  ],
  [
    'the columns that a query has keep their names',
    ['chats.created_at=sent_at'],
    'select m.created_at from (select c.created_at from public.chats c order by created_at) m;',
    'select m.created_at from (select c.sent_at as created_at from public.chats c order by created_at) m;',
  ],
  [
    'CTEs and aliases called like a table are none',
    ['chats=posts', 'chats.message=body'],
    'with chats as (select 1 as message) select chats.message from chats;',
    'with chats as (select 1 as message) select chats.message from chats;',
  ],
  [
    'a subquery sees the tables around it',
    ['chats.user_id=author'],
    'select 1 from public.chats c where exists (select from auth.users u where u.id = user_id);',
    'select 1 from public.chats c where exists (select from auth.users u where u.id = author);',
  ],
  [
    'quotes: camelCase, a reserved word, another schema',
    ['chats=chat.Message', 'chats.user_id=authorId', 'chats.message="order"'],
    'insert into public.chats (user_id, message) select user_id, message from public.chats where public.chats.message is not null;',
    'insert into chat."Message" ("authorId", "order") select "authorId", "order" from chat."Message" where chat."Message"."order" is not null;',
  ],
  [
    'people elsewhere',
    ['auth.users=people', 'auth.users.id=uid'],
    'alter table public.chat_sessions add constraint k foreign key (user_id) references auth.users (id);',
    'alter table public.chat_sessions add constraint k foreign key (user_id) references public.people (uid);',
  ],
  [
    'indexes, grants, policies, comments on them and triggers',
    ['chats=app.posts', 'chats.created_at=at'],
    "create index i on public.chats (created_at) where created_at is not null; grant select on public.chats to anon; create policy p on public.chats using (created_at is not null); comment on policy p on public.chats is 'created_at'; drop trigger t on public.chats;",
    "create index i on app.posts (at) where at is not null; grant select on app.posts to anon; create policy p on app.posts using (at is not null); comment on policy p on app.posts is 'created_at'; drop trigger t on app.posts;",
  ],
  [
    'bodies of PL/pgSQL, where a variable may be called like a column',
    ['chats=posts', 'chats.created_at=at'],
    body(
      "begin\n  -- chats\n  perform 1 from public.chats c where c.created_at > now();\n  raise notice 'created_at of chats';\n  return null;\nend",
    ),
    body(
      "#variable_conflict use_variable\nbegin\n  -- chats\n  perform 1 from public.posts c where c.at > now();\n  raise notice 'created_at of chats';\n  return null;\nend",
    ),
  ],
  [
    'bodies of SQL, where a column may be called like a parameter',
    ['chats.created_at=at'],
    body(
      'select count(*) from public.chats c where c.created_at is not null and length(at::text) > 0',
      'sql',
    ),
    body('select count(*) from public.chats c where c.at is not null and length(f.at::text) > 0', 'sql'),
  ],
  [
    'dynamic SQL, its places and its quotes',
    ['chats=app."Posts"', 'chats.message=body'],
    "do $$ begin execute format('comment on policy %I on public.chats is %L', 'a', 'message'); execute 'update public.chats set message = ''message'''; end $$;",
    `do $$ begin execute format('comment on policy %I on app."Posts" is %L', 'a', 'message'); execute 'update app."Posts" set body = ''message'''; end $$;`,
  ],
  [
    'a piece of dynamic SQL gets the names of tables',
    ['chats=app.posts'],
    "do $$ begin execute format('grant select (%s) on public.chats %s', 'a', 'message'); end $$;",
    "do $$ begin execute format('grant select (%s) on app.posts %s', 'a', 'message'); end $$;",
  ],
  [
    'a percent sign in a name is none of format()',
    ['chats="a%b"'],
    "do $$ begin execute format('alter table public.chats drop constraint %I', 'a'); execute 'select ''%'' from public.chats'; end $$;",
    `do $$ begin execute format('alter table public."a%%b" drop constraint %I', 'a'); execute 'select ''%'' from public."a%b"'; end $$;`,
  ],
  [
    'dollars in a name do not end a body',
    ['chats="a$$b"'],
    'do $$ begin execute $f$select 1 from public.chats$f$; end $$;',
    'do $body1$ begin execute $f$select 1 from public."a$$b"$f$; end $body1$;',
  ],
  [
    'a table that goes to the archive and comes back',
    ['chats=app.posts'],
    'alter table public.chats set schema rethread_archive; alter table rethread_archive.chats set schema public;',
    'alter table app.posts set schema rethread_archive; alter table rethread_archive.posts set schema app;',
  ],
  [
    'names in the catalog and in JSON',
    ['chats=app.posts', 'chats.message=body'],
    "select to_jsonb(c) ->> 'message' from public.chats c join pg_catalog.pg_attribute a on a.attrelid = 'public.chats'::regclass and a.attname = 'message';",
    "select to_jsonb(c) ->> 'body' from app.posts c join pg_catalog.pg_attribute a on a.attrelid = 'app.posts'::regclass and a.attname = 'body';",
  ],
  [
    'headers',
    ['chats=app."Posts"', 'chats.workspace_id="Org"'],
    '--! title: chats\n--! requires: table public.chats, column public.chats.workspace_id uuid\n--! table: public.chats\n--! pending: workspace_id is null\n\nselect 1;',
    '--! title: chats\n--! requires: table app."Posts", column app."Posts"."Org" uuid\n--! table: app."Posts"\n--! pending: "Org" is null\n\nselect 1;',
  ],
]

test.each(cases)('%s', async (_, map, text, becomes) => {
  expect(await renamed(map, text)).toBe(becomes)
})

test.each([
  [
    ['chats=chat_sessions'],
    /the track calls chat_sessions `public\.chat_sessions` too: add --map chat_sessions=/,
  ],
  [['chats.message=session_id'], /the track calls chats\.session_id `session_id` too/],
  [['chats.message=role'], /the track calls chats\.role `role` too/],
  [['chats=a', 'workspaces=a'], /`public\.a` too/],
  [['chats.nothing=a'], /track workspace-sessions has no such name/],
  [['chat_sessions.updated_at=changed'], /update_updated_at\(\).* writes `updated_at`: the column keeps/],
  [[`chats=${'ä'.repeat(32)}`], /a name has at most 63 bytes/],
])('%s is refused with what to do', async (map, why) => {
  await expect(rewriter('workspace-sessions', map)).rejects.toThrow(why)
})

test('dollars in a name are none of a replacement', () => {
  expect(filled('{}::text', 'c."a$$b"')).toBe('(c."a$$b"::text)')
})

test('a name of 63 bytes is one, and names may be exchanged', async () => {
  const long = 'n'.repeat(63)
  expect(await renamed([`chats=${long}`], 'select 1 from public.chats;')).toBe(
    `select 1 from public.${long};`,
  )
  expect(
    await renamed(
      ['chats.role=message', 'chats.message=role'],
      'select 1 from public.chats where role = message;',
    ),
  ).toBe('select 1 from public.chats where message = role;')
})

test.each(tracks.map(t => t.name))('%s: no old name is left, and every file is SQL again', async name => {
  const { roles } = await readTrackNames(trackNamed(name))
  const theirs = Object.entries(roles).filter(([, role]) => !role.new)
  const rewrite = await rewriter(
    name,
    theirs.flatMap(([entity, { columns }]) => [
      `${entity}=app."The ${entity}"`,
      ...Object.keys(columns).map(column => `${entity}.${column}="Their ${column}"`),
    ]),
  )
  const left: string[] = []
  for (const folder of projectFolders) {
    const from = join(root, folder, name)
    for (const file of existsSync(from) ? readdirSync(from) : []) {
      const now = await rewrite(folder, file, readFileSync(join(from, file), 'utf8'))
      if (file.endsWith('.sql')) await parseStatements(now)
      for (const [, { table }] of theirs)
        for (const line of now.split('\n').filter(l => !/^\s*--(?!!)/.test(l) && !/--! title/.test(l)))
          if (new RegExp(`\\b${table.replace('.', '\\.')}\\b(?!_)`).test(line))
            left.push(`${folder}/${file}: ${line.trim()}`)
    }
  }
  expect(left).toEqual([])
})
