-- A trap for each name that is looked up by the search_path: functions, operators, types and
-- relations of pg_catalog, copied into the schema "evil".  One that is called says so in the
-- server's log, and fails.  That schema is on no search_path while they are made.
SET check_function_bodies = off;
SET client_min_messages = error;
CREATE SCHEMA "evil";
GRANT USAGE ON SCHEMA "evil" TO PUBLIC;

CREATE FUNCTION "evil".pgiostat_sprung(what text) RETURNS bool LANGUAGE plpgsql AS
$$ BEGIN RAISE LOG 'trap sprung: %', what; RAISE EXCEPTION 'trap sprung: %', what; END $$;

CREATE FUNCTION "evil".pgiostat_body(what text) RETURNS text LANGUAGE sql AS
$$ SELECT pg_catalog.format(
    'BEGIN RAISE LOG ''trap sprung: %%'', %1$L; RAISE EXCEPTION ''trap sprung: %%'', %1$L; END',
    what) $$;

CREATE TABLE "evil".pgiostat_set (kind text, name text);

CREATE FUNCTION "evil".pgiostat_set_function(
    name text, arguments oid[], result text) RETURNS void LANGUAGE plpgsql AS
$$
DECLARE
    list text := (SELECT pg_catalog.string_agg(pg_catalog.format_type(a, NULL), ', ' ORDER BY i)
                    FROM pg_catalog.unnest(arguments) WITH ORDINALITY AS u(a, i));
    body text := "evil".pgiostat_body(pg_catalog.format('%s(%s)', name, list));
BEGIN
    EXECUTE pg_catalog.format('CREATE FUNCTION "evil".%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
                              name, list, result, body);
    INSERT INTO "evil".pgiostat_set VALUES ('function', name);
EXCEPTION WHEN OTHERS THEN NULL;  -- there already, or of a type that PL/pgSQL does not take
END $$;

CREATE FUNCTION "evil".pgiostat_set_aggregate(name text, arguments oid[]) RETURNS void
LANGUAGE plpgsql AS
$$
DECLARE
    list text := (SELECT pg_catalog.string_agg(pg_catalog.format_type(a, NULL), ', ' ORDER BY i)
                    FROM pg_catalog.unnest(arguments) WITH ORDINALITY AS u(a, i));
    step text := 'pgiostat_step_' || pg_catalog.md5(name || coalesce(list, ''));
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE FUNCTION "evil".%I(%s) RETURNS text LANGUAGE plpgsql AS %L', step,
        pg_catalog.concat_ws(', ', 'text', list),
        "evil".pgiostat_body(pg_catalog.format('aggregate %s(%s)', name, list)));
    EXECUTE pg_catalog.format('CREATE AGGREGATE "evil".%I(%s) (SFUNC = "evil".%I, STYPE = text)',
                              name, coalesce(list, '*'), step);
    INSERT INTO "evil".pgiostat_set VALUES ('aggregate', name);
EXCEPTION WHEN OTHERS THEN NULL;
END $$;

CREATE FUNCTION "evil".pgiostat_set_operator(name text, l oid, r oid, result oid) RETURNS void
LANGUAGE plpgsql AS
$$
DECLARE
    arguments text := pg_catalog.concat_ws(', ', nullif(pg_catalog.format_type(l, NULL), '-'),
                                           nullif(pg_catalog.format_type(r, NULL), '-'));
    side text := pg_catalog.concat_ws(', ',
        CASE WHEN l <> 0 THEN 'LEFTARG = ' || pg_catalog.format_type(l, NULL) END,
        CASE WHEN r <> 0 THEN 'RIGHTARG = ' || pg_catalog.format_type(r, NULL) END);
    function text := 'pgiostat_operator_' || pg_catalog.md5(name || arguments);
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE FUNCTION "evil".%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', function, arguments,
        pg_catalog.format_type(result, NULL),
        "evil".pgiostat_body(pg_catalog.format('operator %s (%s)', name, arguments)));
    EXECUTE pg_catalog.format('CREATE OPERATOR "evil".%s (%s, FUNCTION = "evil".%I)',
                              name, side, function);
    INSERT INTO "evil".pgiostat_set VALUES ('operator', name);
EXCEPTION WHEN OTHERS THEN NULL;
END $$;

DO $$
DECLARE
    p record;
    a oid;
    b oid;
    concrete oid[] := ARRAY(SELECT oid FROM pg_catalog.pg_type WHERE typname = ANY (
        '{text,name,int2,int4,int8,oid,bool,float8,timestamptz,interval,bytea,char,regclass,regtype,
          _text,_name,_int2,_int4,_int8,_oid,_char,int2vector,oidvector}'::text[]));
    few oid[] := ARRAY(SELECT oid FROM pg_catalog.pg_type WHERE typname = ANY (
        '{text,name,int2,int4,int8,oid,float8,_text,_int2}'::text[]));
    any_like oid[] := ARRAY(SELECT oid FROM pg_catalog.pg_type WHERE typname ~ '^any');
BEGIN
    -- 1. Exact copies: taken where TRAPS comes before pg_catalog.
    FOR p IN SELECT proname, proargtypes::oid[] AS arguments, proretset, prorettype, prokind
               FROM pg_catalog.pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
                AND prokind <> 'p' LOOP
        IF p.prokind = 'a' THEN
            PERFORM "evil".pgiostat_set_aggregate(p.proname, p.arguments);
            CONTINUE;
        END IF;
        PERFORM "evil".pgiostat_set_function(p.proname, p.arguments,
            CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END
            || pg_catalog.format_type(p.prorettype, NULL));
        PERFORM "evil".pgiostat_set_function(p.proname, p.arguments, 'text');
    END LOOP;
    -- 2. Better matches of functions that take any type: taken wherever TRAPS stands.
    FOR p IN SELECT DISTINCT proname, proargtypes::oid[] AS arguments, provariadic
               FROM pg_catalog.pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
                AND proargtypes::oid[] && any_like
                AND pg_catalog.cardinality(proargtypes::oid[]) BETWEEN 1 AND 3 LOOP
        FOREACH a IN ARRAY concrete LOOP
            PERFORM "evil".pgiostat_set_function(p.proname, ARRAY(
                SELECT CASE
                    WHEN t.typname IN ('anyarray', 'anycompatiblearray')
                    THEN (SELECT coalesce(nullif(e.typarray, 0), a)
                            FROM pg_catalog.pg_type AS e WHERE e.oid = a)
                    WHEN t.typname LIKE 'any%' THEN a ELSE u.x END
                  FROM pg_catalog.unnest(p.arguments) WITH ORDINALITY AS u(x, i)
                  JOIN pg_catalog.pg_type AS t ON t.oid = u.x ORDER BY u.i), 'text');
            PERFORM "evil".pgiostat_set_function(p.proname, ARRAY[a], 'text');
            FOREACH b IN ARRAY concrete LOOP
                IF p.provariadic <> 0 OR pg_catalog.cardinality(p.arguments) = 2 THEN
                    PERFORM "evil".pgiostat_set_function(p.proname, ARRAY[a, b], 'text');
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    -- 3. Better matches of the functions that we call, which cast their arguments.
    FOR p IN SELECT DISTINCT proname FROM pg_catalog.pg_proc
              WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY ('{CALLED}') LOOP
        FOREACH a IN ARRAY few LOOP
            PERFORM "evil".pgiostat_set_function(p.proname, ARRAY[a], 'text');
            FOREACH b IN ARRAY few LOOP
                PERFORM "evil".pgiostat_set_function(p.proname, ARRAY[a, b], 'text');
                PERFORM "evil".pgiostat_set_function(p.proname, ARRAY[a, b, 'text'::regtype], 'text');
            END LOOP;
        END LOOP;
    END LOOP;
    -- 4. Operators: exact copies, and each symbol that we use between any two types.
    FOR p IN SELECT oprname, oprleft, oprright, oprresult FROM pg_catalog.pg_operator
              WHERE oprnamespace = 'pg_catalog'::regnamespace LOOP
        PERFORM "evil".pgiostat_set_operator(p.oprname, p.oprleft, p.oprright, p.oprresult);
    END LOOP;
    FOR p IN SELECT pg_catalog.unnest('{=,<>,<,>,<=,>=}'::text[]) AS oprname LOOP
        FOREACH a IN ARRAY concrete LOOP
            FOREACH b IN ARRAY concrete LOOP
                PERFORM "evil".pgiostat_set_operator(p.oprname, a, b, 'bool'::regtype);
            END LOOP;
        END LOOP;
    END LOOP;
    FOR p IN SELECT pg_catalog.unnest('{||,+,-,*}'::text[]) AS oprname LOOP
        FOREACH a IN ARRAY few LOOP
            FOREACH b IN ARRAY few LOOP
                PERFORM "evil".pgiostat_set_operator(p.oprname, a, b, a);
            END LOOP;
        END LOOP;
    END LOOP;
    FOR p IN SELECT pg_catalog.unnest('{~,!~,~~,!~~}'::text[]) AS oprname LOOP
        FOREACH a IN ARRAY few LOOP
            FOREACH b IN ARRAY few LOOP
                PERFORM "evil".pgiostat_set_operator(p.oprname, a, b, 'bool'::regtype);
            END LOOP;
        END LOOP;
    END LOOP;
    -- 5. Types whose every value is checked by a trap.
    FOR p IN SELECT typname, pg_catalog.format_type(oid, NULL) AS name FROM pg_catalog.pg_type
              WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b'
                AND typname !~ '^_' LOOP
        BEGIN
            EXECUTE pg_catalog.format(
                'CREATE DOMAIN "evil".%I AS %s CHECK ("evil".pgiostat_sprung(%L))',
                p.typname, p.name, 'type ' || p.typname);
            INSERT INTO "evil".pgiostat_set VALUES ('type', p.typname);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    -- 6. Relations.
    FOR p IN SELECT relname FROM pg_catalog.pg_class
              WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') LOOP
        BEGIN
            EXECUTE pg_catalog.format(
                'CREATE VIEW "evil".%I AS SELECT c.* FROM pg_catalog.%I AS c'
                ' WHERE "evil".pgiostat_sprung(%L)',
                p.relname, p.relname, 'relation ' || p.relname);
            EXECUTE pg_catalog.format('GRANT SELECT ON "evil".%I TO PUBLIC', p.relname);
            INSERT INTO "evil".pgiostat_set VALUES ('relation', p.relname);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
END $$;
