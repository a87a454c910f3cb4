"""What Grafana dashboards are made of, as functions that return its JSON.

A panel gets its place by `place`, from left to right in rows of 24 columns.
"""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Matchers that every query has, so that one dashboard serves several daemons.
DAEMON = 'job=~"$job", instance=~"$instance"'
MODEL = DAEMON + ', model="$model"'
VERSION = MODEL + ', version=~"$version"'
WINDOW = VERSION + ', window="$window"'

PAGE = "${page}/#"
# What each dashboard hands on to the others, and to tidemark's page.
UIDS = {"model": "tidemark-model", "drift": "tidemark-drift", "daemon": "tidemark-daemon"}

# Colours that people who see few colours tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"


def query(expr, legend="", instant=False, table=False):
    """One query of a panel."""
    out = {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": " ".join(expr.split()),
        "instant": instant,
        "range": not instant,
        "legendFormat": legend or "__auto",
    }
    if table:
        out["format"] = "table"
    return out


def thresholds(*steps):
    """Colours from values on: (None, colour), (value, colour), ..."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def link(title, url):
    """A link from a value of a panel, in a tab of its own."""
    return {"title": title, "url": url, "targetBlank": True}


def panel(kind, title, text, unit, queries, width, height, custom=None, options=None, **extra):
    """Any panel. `extra`: thresholds, min, max, decimals, links, mappings, overrides."""
    defaults = {"unit": unit}
    for name in ("thresholds", "min", "max", "decimals", "links", "mappings", "noValue"):
        if name in extra:
            defaults[name] = extra.pop(name)
    defaults["custom"] = custom or {}
    overrides = extra.pop("overrides", [])
    assert all(name == "transformations" for name in extra), extra
    queries = [dict(one, refId=chr(ord("A") + at)) for at, one in enumerate(queries)]
    return {
        "type": kind,
        "title": title,
        "description": " ".join(text.split()),
        "datasource": DATASOURCE,
        "targets": queries,
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": options or {},
        "gridPos": {"w": width, "h": height},
        **extra,
    }


def stat(title, text, unit, queries, width=4, **extra):
    """A number, and how it came about."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "colorMode": "value",
        "graphMode": extra.pop("graph", "area"),
        "textMode": "auto",
    }
    extra.setdefault("thresholds", thresholds((None, BLUE)))
    return panel("stat", title, text, unit, queries, width, 4, options=options, **extra)


def lines(title, text, unit, queries, width=12, height=8, **extra):
    """Lines over time."""
    custom = {
        "drawStyle": "line",
        "lineWidth": 2,
        "fillOpacity": extra.pop("fill", 0),
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if extra.pop("stack", False) else "none"},
    }
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, text, unit, queries, width, height, custom, options, **extra)


def bars(title, text, unit, queries, width=12, height=8, **extra):
    """A bar for each series as it is now."""
    options = {
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "showUnfilled": True,
        "reduceOptions": {"calcs": ["lastNotNull"]},
    }
    extra.setdefault("thresholds", thresholds((None, BLUE)))
    return panel("bargauge", title, text, unit, queries, width, height, options=options, **extra)


def states(title, text, queries, width=24, height=6, **extra):
    """Yes or no over time."""
    custom = {"fillOpacity": 80, "lineWidth": 0}
    options = {"mergeValues": True, "showValue": "never", "rowHeight": 0.8}
    return panel("state-timeline", title, text, "short", queries, width, height, custom, options, **extra)


def table(title, text, unit, queries, width=24, height=8, columns=None, hidden=(), **extra):
    """The newest values as rows. `columns`: names of the value columns, in the queries' order."""
    # A table of one query calls its value column otherwise.
    names = ["Value"] if len(queries) == 1 else [f"Value #{chr(ord('A') + at)}" for at in range(len(queries))]
    rename = dict(zip(names, columns or []))
    hide = ["Time", "job", "instance", "__name__", *hidden]
    transformations = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": dict.fromkeys(hide, True), "renameByName": rename}},
    ]
    return panel(
        "table", title, text, unit, queries, width, height,
        options={"showHeader": True}, transformations=transformations, **extra,
    )


def of_unit(name, unit):
    """A column or line of another unit than its panel's."""
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}


def looks(pattern, **properties):
    """How lines whose name matches look: color, dash, width."""
    out = []
    if "color" in properties:
        out.append({"id": "color", "value": {"mode": "fixed", "fixedColor": properties["color"]}})
    if properties.get("dash"):
        out.append({"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}})
    if "width" in properties:
        out.append({"id": "custom.lineWidth", "value": properties["width"]})
    return {"matcher": {"id": "byRegexp", "options": f"/{pattern}/"}, "properties": out}


def row(title, panels, collapsed=False):
    return {"row": title, "panels": panels, "collapsed": collapsed}


def place(rows):
    """Panels with ids and places."""
    out, y, number = [], 0, 1

    def flow(panels, y, number):
        x, tall = 0, 0
        for one in panels:
            at = one["gridPos"]
            if x + at["w"] > 24:
                x, y, tall = 0, y + tall, 0
            one["gridPos"] = {"x": x, "y": y, "w": at["w"], "h": at["h"]}
            one["id"] = number
            number, x, tall = number + 1, x + at["w"], max(tall, at["h"])
        return y + tall, number

    for group in rows:
        head = {
            "type": "row", "title": group["row"], "collapsed": group["collapsed"], "id": number,
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": [],
        }
        end, number = flow(group["panels"], y + 1, number + 1)
        out.append(head)
        if group["collapsed"]:
            head["panels"] = group["panels"]
            y += 1
        else:
            out.extend(group["panels"])
            y = end
    return out


def variable(name, label, metric, matchers="", multi=False, sort=1):
    """Values of a label of a metric. Without `multi` one is chosen."""
    expr = f"label_values({metric}{{{matchers}}}, {name})" if matchers else f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": expr,
        "query": {"query": expr, "refId": name},
        "refresh": 2,
        "sort": sort,
        "multi": multi,
        "includeAll": multi,
        "allValue": ".+" if multi else None,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]} if multi else {},
        "hide": 0,
    }


def variables(*more):
    """Those that every dashboard has, and some of its own."""
    source = {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "current": {}, "hide": 0, "refresh": 1, "regex": "", "multi": False, "includeAll": False,
    }
    page = {
        "name": "page", "label": "tidemark's page", "type": "textbox", "query": "http://127.0.0.1:9464",
        "current": {"text": "http://127.0.0.1:9464", "value": "http://127.0.0.1:9464"}, "hide": 0,
    }
    job = variable("job", "Job", "tidemark_build_info", multi=True)
    instance = variable("instance", "Instance", "tidemark_build_info", 'job=~"$job"', multi=True)
    return [source, job, instance, *more, page]


def annotation(name, expr, color, title):
    return {
        "name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color,
        "expr": " ".join(expr.split()), "titleFormat": title, "step": "30s", "useValueForTime": False,
    }


def dashboard(key, title, text, rows, templating, annotations, page):
    """`page`: where on tidemark's page the same is found."""
    others = [
        {
            "title": f"tidemark / {other.capitalize()}", "type": "link", "icon": "dashboard",
            "url": f"/d/{uid}", "includeVars": True, "keepTime": True, "targetBlank": False,
            "asDropdown": False, "tags": [], "tooltip": "",
        }
        for other, uid in UIDS.items() if other != key
    ]
    own = {
        "title": "tidemark's page", "type": "link", "icon": "external link", "url": f"{PAGE}{page}",
        "includeVars": False, "keepTime": False, "targetBlank": True, "asDropdown": False, "tags": [],
        "tooltip": "The same, with what Prometheus does not hold",
    }
    return {
        "uid": UIDS[key],
        "title": title,
        "description": text,
        "tags": ["tidemark"],
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "templating": {"list": templating},
        "annotations": {"list": annotations},
        "links": [*others, own],
        "panels": place(rows),
    }
