-- Lets one person write every row that they may write, each column with each id of somebody else, and looks
-- after each attempt whether anything that they can't see has changed: a function with its owner's rights
-- that trusts a column would have changed it, or shown it to them. For the stories of isolation.

create function public.attack_as(claims jsonb) returns void language plpgsql as $$
begin
  perform set_config('request.jwt.claims', claims::text, true), set_config('request.jwt.claim.sub', claims ->> 'sub', true),
    set_config('row_security', 'on', true), set_config('role', claims ->> 'role', true);
end
$$;

-- The column that tells the rows of a table apart.
create function public.attack_key(spec jsonb, t text) returns text language sql as $$
  select quote_ident(coalesce(spec -> 'keys' ->> t, 'id'))
$$;

-- A value that no row has, of a type of keys.
create function public.attack_fresh(type regtype) returns text language sql as $$
  select case
    when t.typcategory = 'N' then floor(1000000 + random() * 1000000)::text
    when type = 'uuid'::regtype then gen_random_uuid()::text
    else left(md5(random()::text), 12) end
  from pg_type t where t.oid = type
$$;

-- What the attacker does not see, as one hash for each table. `besides` are ids that do not count either.
create function public.attack_others(spec jsonb, besides text[]) returns jsonb language plpgsql as $$
declare
  said jsonb := '{}';
  seen text[];
  hash text;
  leaked bigint;
  t text;
begin
  for t in select jsonb_object_keys(spec -> 'tables') order by 1 loop
    perform public.attack_as(spec -> 'attacker');
    execute format('select coalesce(array_agg(%s::text), ''{}''), count(*) filter (where to_jsonb(t)::text like ''%%secret of the victim%%'') from %s t', public.attack_key(spec, t), t)
      into seen, leaked;
    reset role;
    execute format('select count(*) || '' rows, '' || coalesce(md5(string_agg(to_jsonb(t)::text, '','' order by %1$s::text)), '''') from %2$s t where not %1$s::text = any ($1)', public.attack_key(spec, t), t)
      into hash using seen || besides;
    said := said || jsonb_build_object(t, hash || ', leaked ' || leaked);
  end loop;
  return said;
end
$$;

-- One attempt, then what the victim goes on to do, all taken back: what others' rows have become, or what was
-- refused.
create function public.attack_once(spec jsonb, attempt text, besides text[]) returns text language plpgsql as $$
declare
  at text := 'refused';
  came text;
  statement text;
begin
  begin
    perform public.attack_as(spec -> 'attacker');
    if attempt is not null then
      execute attempt;
    end if;
    at := 'then the victim could not go on';
    reset role;
    perform public.attack_as(spec -> 'victim');
    for statement in select jsonb_array_elements_text(spec -> 'later') loop
      execute statement;
    end loop;
    reset role;
    came := public.attack_others(spec, besides)::text;
    raise exception using errcode = 'RTHRD';
  exception
    when sqlstate 'RTHRD' then return came;
    when others then return at || case at when 'refused' then '' else ' ' || sqlstate || ' ' || sqlerrm end;
  end;
end
$$;

-- Every attempt whose outcome is another than that of no attempt at all.
create function public.attack_all(spec jsonb) returns table (attempts bigint, refused bigint, changed jsonb) language plpgsql as $$
declare
  -- what a foreign key sets to null of a row that its owner deletes may be out of their sight
  own text[] := array(select value from jsonb_each_text(spec -> 'tables'));
  baseline text := public.attack_once(spec, null, '{}');
  baseline_of_deletes text := public.attack_once(spec, null, own);
  mine jsonb;
  t text;
  key text;
  fresh jsonb;
  attempt text;
  came text;
begin
  attempts := 0;
  refused := 0;
  changed := '[]';
  for t in select jsonb_object_keys(spec -> 'tables') order by 1 loop
    key := public.attack_key(spec, t);
    execute format('select to_jsonb(t) from %s t where %s::text = %L', t, key, spec -> 'tables' ->> t) into mine;
    select jsonb_build_object(a.attname, public.attack_fresh(a.atttypid)) into fresh from pg_attribute a
    where a.attrelid = t::regclass and quote_ident(a.attname) = key;
    for attempt in
      with col as (
        select a.attname::text as name, a.attnum,
          a.atttypid = 'uuid'::regtype or a.attname = any (array(select jsonb_array_elements_text(spec -> 'keyed' -> t))) as is_id
        from pg_attribute a
        where a.attrelid = t::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      ),
      -- a column with a value of the victim's, and two ids at once
      given as (
        select jsonb_build_object(c.name, v.value) as set_to from col c
        cross join lateral (
          select to_jsonb(i) as value from jsonb_array_elements_text(spec -> 'ids') i where c.is_id
          union
          select r -> c.name from jsonb_array_elements(spec -> 'theirs' -> t) r where r ? c.name
        ) v
        union
        select jsonb_build_object(a.name, x.id, b.name, y.id) from col a
        join col b on b.name > a.name and a.is_id and b.is_id
        cross join jsonb_array_elements_text(spec -> 'ids') x (id)
        cross join jsonb_array_elements_text(spec -> 'ids') y (id)
        where (x.id, y.id) in (select r ->> a.name, r ->> b.name from jsonb_array_elements(spec -> 'theirs' -> t) r)
      ),
      change as (
        select set_to, (select string_agg(quote_ident(k), ', ') from jsonb_object_keys(set_to) k) as names,
          (select string_agg('n.' || quote_ident(k), ', ') from jsonb_object_keys(set_to) k) as news,
          (select string_agg('excluded.' || quote_ident(k), ', ') from jsonb_object_keys(set_to) k) as excluded,
          (select string_agg(quote_ident(name), ', ' order by attnum) from col) as columns
        from given
      )
      select format('insert into %1$s (%2$s) overriding system value select %2$s from jsonb_populate_record(null::%1$s, %3$L)',
        t, columns, mine || fresh || set_to) from change
      union all
      select format('insert into %1$s (%2$s) overriding system value select %2$s from jsonb_populate_record(null::%1$s, %3$L) on conflict (%4$s) do update set (%5$s) = row (%6$s)',
        t, columns, mine || set_to, key, names, excluded) from change
      union all
      select format('merge into %1$s t using jsonb_populate_record(null::%1$s, %2$L) n on t.%3$s = n.%3$s when matched then update set (%4$s) = row (%5$s) when not matched then insert (%6$s) overriding system value values (%7$s)',
        t, mine || set_to, key, names, news, columns, 'n.' || replace(columns, ', ', ', n.')) from change
      union all
      select format('update %1$s set (%2$s) = (select %2$s from jsonb_populate_record(null::%1$s, %3$L)) where %4$s::text = %5$L',
        t, names, mine || set_to, key, spec -> 'tables' ->> t) from change
      union all
      select format('delete from %s where %s::text = %L', t, key, spec -> 'tables' ->> t)
    loop
      came := public.attack_once(spec, attempt, case when attempt like 'delete%' then own else '{}' end);
      attempts := attempts + 1;
      refused := refused + (came = 'refused')::int;
      if came not in (case when attempt like 'delete%' then baseline_of_deletes else baseline end, 'refused') then
        changed := changed || jsonb_build_object('attempt', attempt, 'came', came, 'baseline', baseline);
      end if;
    end loop;
  end loop;
  return next;
end
$$;
