import { describe, expect, test } from 'vitest'
import { cutDefinition, cutSql, cutValue } from '../src/adapt/cut_statements.js'
import { Underivable } from '../src/adapt/cuts.js'
import type { LeftOut } from '../src/adapt/left_out.js'
import { trackCopier } from '../src/adapt/without_api.js'
import { discover } from '../src/files/discover.js'
import { copiedFiles } from '../src/files/scaffold.js'
import { parsePlpgsql, parseStatements } from '../src/files/statements.js'
import { readTrackInfo } from '../src/files/track_info.js'
import { root } from './support/database.js'

/** What a copy leaves out of statements, where a database does without firms. */
const out: LeftOut = {
  roles: new Set(['firms']),
  objects: new Set(['app.firms', 'app.members', 'app.rank_in']),
  columns: new Set(['firm_id']),
  marks: new Map(),
  alone: new Set(),
  unit: 'owner',
  named: /\b(?:firms|members|rank_in|firm_id)\b/i,
  spoken: /\bfirm/i,
}

describe('an expression keeps what speaks of other things', () => {
  test.each([
    ['a.id = b.id and a.firm_id = b.firm_id and a.owner = 1', 'a.id = b.id and a.owner = 1'],
    ['a.firm_id = b.firm_id and a.owner = 1', 'a.owner = 1'],
    ['a.owner = 1 and a.firm_id = b.firm_id', 'a.owner = 1'],
    ['firm_id is null or owner is null', 'owner is null'],
    ['owner = 1 and app.rank_in(firm_id) is not null or app.rank_in(firm_id) = 3', 'owner = 1'],
    ['n between 1 and 2 and firm_id = 3', 'n between 1 and 2'],
    ['firm_id between 1 and 2 and n = 3', 'n = 3'],
    ['(((a = b) AND (app.rank_in(firm_id) > 1)) OR (app.rank_in(firm_id) = 2))', '(a = b)'],
    ['(a, firm_id, b) is distinct from (1, n.firm_id, 2)', '(a, b) is distinct from (1, 2)'],
    ['coalesce(a, firm_id) = 1', 'coalesce(a) = 1'],
    ['not exists (select from app.firms f where f.id = s.firm_id) or b', 'b'],
    [
      'exists (select from app.notes n where n.id = s.id and n.firm_id = s.firm_id)',
      'exists (select from app.notes n where n.id = s.id)',
    ],
    [
      "case when firm_id is null then 'x' when owner is null then 'y' end",
      "case when owner is null then 'y' end",
    ],
    ['text = \'firm_id\' and "firm_id" = 1', "text = 'firm_id'"],
    ['a.id = any (array(select m.id from app.members m)) or c', 'c'],
  ])('%s', async (from, to) => {
    expect(await cutValue(from, out)).toBe(to)
  })

  test.each([
    'firm_id = 1',
    'not (firm_id = 1 and app.rank_in(1) = 2)',
    'case when a then firm_id else 1 end',
  ])('nothing is left of %s', async from => expect(await cutValue(from, out)).toBe(null))
})

describe('a statement keeps its other parts', () => {
  test.each([
    [
      'insert into app.notes (id, firm_id, owner) values (1, 2, 3), (4, 5, 6) on conflict (firm_id, id) do update set firm_id = 1, owner = 2 where firm_id = 1;',
      'insert into app.notes (id, owner) values (1, 3), (4, 6) on conflict (id) do update set owner = 2;',
    ],
    [
      'insert into app.notes (firm_id, owner)\nselect n.firm_id, n.owner\nfrom app.old n join app.firms f on f.id = n.firm_id join app.people p on p.id = n.owner and f.open where f.open and n.ok;',
      'insert into app.notes (owner)\nselect n.owner\nfrom app.old n join app.people p on p.id = n.owner where n.ok;',
    ],
    [
      'insert into app.notes (owner, firm_id) with x as (select 1) select owner, 7 from x union all select owner, 8 from y;',
      'insert into app.notes (owner) with x as (select 1) select owner from x union all select owner from y;',
    ],
    [
      'select a from b\nunion all\nselect c from d where not exists (select from app.firms f where f.id = d.firm_id)\norder by 1;',
      'select a from b\norder by 1;',
    ],
    [
      'update app.notes n set firm_id = 1, owner = 2 from app.x x where x.firm_id = n.firm_id and x.id = n.id;',
      'update app.notes n set owner = 2 from app.x x where x.id = n.id;',
    ],
    [
      'select count(*) from app.notes group by firm_id, owner order by firm_id;',
      'select count(*) from app.notes group by owner;',
    ],
    [
      'delete from app.notes n using app.x x where n.firm_id = 1 and x.id = n.id;',
      'delete from app.notes n using app.x x where x.id = n.id;',
    ],
    [
      'drop function if exists app.rank_in(uuid), app.other(uuid);',
      'drop function if exists app.other(uuid);',
    ],
    ['revoke all on function app.rank_in(uuid) from public;\nselect 1;', 'select 1;'],
    ['grant select on app.firms, app.notes to web;', 'grant select on app.notes to web;'],
    [
      'create table app.notes (\n  id uuid,\n  -- kept\n  firm_id uuid references app.firms (id),\n  owner uuid\n);',
      'create table app.notes (\n  id uuid,\n  -- kept\n  owner uuid\n);',
    ],
    [
      'create index a on app.notes (firm_id);\ncreate index b on app.notes (owner, firm_id) where firm_id > 1 and ok;',
      'create index b on app.notes (owner) where ok;',
    ],
    [
      'alter table app.notes add constraint a foreign key (firm_id) references app.firms (id), add constraint b check (ok);',
      'alter table app.notes add constraint b check (ok);',
    ],
    [
      'create policy p on app.notes for update using (owner = me() and app.rank_in(firm_id) > 1) with check (owner = me());',
      'create policy p on app.notes for update using (owner = me()) with check (owner = me());',
    ],
    ['create policy p on app.notes using (app.rank_in(firm_id) > 1);\nselect 1;', 'select 1;'],
    ['create policy p on app.members using (true);\nselect 1;', 'select 1;'],
    [
      "create function app.f() returns trigger language plpgsql as $$\ndeclare\n  kept record;\nbegin\n  if tg_op = 'DELETE' and old.firm_id = 1 then\n    select n.firm_id, n.owner into kept from app.notes n;\n    perform 1 from app.firms f;\n    kept := app.rank_in(1);\n  end if;\n  for kept in select n.id from app.notes n where n.firm_id = 1 and n.ok loop\n    delete from app.members;\n  end loop;\n  return new;\nend\n$$;",
      "create function app.f() returns trigger language plpgsql as $$\ndeclare\n  kept record;\nbegin\n  if tg_op = 'DELETE' then\n    select n.owner into kept from app.notes n;\n  end if;\n  for kept in select n.id from app.notes n where n.ok loop\n  end loop;\n  return new;\nend\n$$;",
    ],
    [
      'create function app.f() returns bigint language sql as $$ select count(*) from app.notes where firm_id = 1 and ok $$;',
      'create function app.f() returns bigint language sql as $$ select count(*) from app.notes where ok $$;',
    ],
  ])('%s', async (from, to) => {
    const now = await cutSql(from, out)
    expect(now.trim()).toBe(to)
    for (const { kind, text } of await parseStatements(now))
      if (kind === 'CreateFunctionStmt' && text.includes('plpgsql')) await parsePlpgsql(text)
  })

  test('the columns of an index', async () => {
    expect(await cutDefinition('btree (firm_id, at DESC)', out)).toBe('btree (at DESC)')
    expect(await cutDefinition('btree (firm_id)', out)).toBe(null)
  })

  test.each([
    'do $$ begin if new.firm_id = 1 then delete from app.notes; end if; end $$;',
    'do $$ begin for r in select 1 from app.firms loop delete from app.notes; end loop; end $$;',
    'create function app.f(firm_id uuid) returns int language sql as $$ select 1 $$;',
    'with f as (select id from app.firms) select 1 from app.notes;',
    'select 1 from app.notes n join app.x x on x.firm_id = n.firm_id;',
    'reindex table app.firms;',
  ])('what something depends on is not guessed: %s', async from => {
    await expect(cutSql(from, out)).rejects.toThrow(Underivable)
  })
})

describe('of a column that its table lacks', () => {
  const marks = {
    no_title: {},
    no_at: { instead: 'made_at' },
    no_kind: { value: "'user'" },
  }
  const lacking: LeftOut = {
    ...out,
    roles: new Set(['notes.title']),
    objects: new Set(),
    columns: new Set(Object.keys(marks)),
    marks: new Map(Object.entries(marks)),
    named: /\b(?:no_title|no_at|no_kind)\b/,
  }
  test.each([
    [
      "insert into app.fresh (id, title, at, kind) select n.id, coalesce(n.no_title, 'none'), n.no_at, n.no_kind from app.notes n;",
      "insert into app.fresh (id, at, kind) select n.id, n.made_at, 'user' from app.notes n;",
    ],
    [
      'insert into app.notes (id, no_title, no_at, no_kind) values (1, new.title, new.at, new.kind);',
      'insert into app.notes (id) values (1);',
    ],
    [
      "update app.fresh f set id = n.id, title = case when n.no_title = '' then f.title else n.no_title end, at = greatest(n.no_at, f.at), kind = n.no_kind from app.notes n;",
      "update app.fresh f set id = n.id, kind = 'user' from app.notes n;",
    ],
    [
      'update app.notes n set no_title = f.title, no_kind = f.kind, owner = f.owner from app.fresh f;',
      'update app.notes n set owner = f.owner from app.fresh f;',
    ],
    [
      "select 1 from app.fresh f where f.ok and (f.id, f.title, f.at) is distinct from (n.id, coalesce(n.no_title, 'none'), greatest(n.no_at, f.at));",
      'select 1 from app.fresh f where f.ok and (f.id) is distinct from (n.id);',
    ],
    [
      'select n.id from app.notes n where n.ok or n.no_title is null order by n.no_at desc, n.no_title limit 1;',
      'select n.id from app.notes n where n.ok order by n.made_at desc limit 1;',
    ],
    [
      'select n.id, app.said(n.no_kind::text, n.text) from app.notes n;',
      "select n.id, app.said('user'::text, n.text) from app.notes n;",
    ],
    [
      "select 1 from app.notes n where n.no_kind = 'user' and app.is_long(n.no_title);",
      "select 1 from app.notes n where 'user' = 'user';",
    ],
  ])('%s', async (from, to) => {
    const now = await cutSql(from, lacking)
    expect(now).toBe(to)
    await parseStatements(now)
  })
})

test('a file that still names what is left out is refused, with what it names', async () => {
  const track = discover(root).tracks.find(t => t.name === 'conversation-history')!
  const { info } = await readTrackInfo(track)
  const roles = structuredClone(info!.roles!)
  // a function that nobody has named as one of the tenants' stays, and asks for their table
  roles.tenants!.optional = { without: 'nobody' }
  const copier = await trackCopier(track, { ...info!, roles }, { tenants: null })
  await expect(copiedFiles(track, copier)).rejects.toThrow(/001_create_conversations.sql/)
})

test('under other names nothing speaks of tenants either, and all of it parses', async () => {
  const track = discover(root).tracks.find(t => t.name === 'conversation-history')!
  const { info } = await readTrackInfo(track)
  const mapping = {
    tenants: null,
    chat_sessions: '"Chat"',
    'chat_sessions.user_id': 'userId',
    users: '"User"',
  }
  for (const api of [{}, { identity: 'null::uuid', api: 'app_rw=select+insert' }])
    for (const { path, text } of await copiedFiles(
      track,
      await trackCopier(track, info, { ...mapping, ...api }),
    )) {
      expect([path, text.match(/.*tenant.*/gi)]).toEqual([path, null])
      for (const s of path.endsWith('.sql') ? await parseStatements(text) : [])
        if (s.kind === 'CreateFunctionStmt' && /language plpgsql/.test(s.text)) await parsePlpgsql(s.text)
    }
})

test('with tenants a copy has the checks for them, and nothing that says for whom they are', async () => {
  const track = discover(root).tracks.find(t => t.name === 'conversation-history')!
  const { info } = await readTrackInfo(track)
  const files = await copiedFiles(track, await trackCopier(track, info, { chat_sessions: 'threads' }))
  const paths = files.map(f => f.path)
  expect(paths).toContain('verify/conversation-history/access.sql')
  expect(paths.filter(p => /of_users|nobodys/.test(p))).toEqual([])
  expect(files.filter(f => /^--! with(out)?:/m.test(f.text))).toEqual([])
})
