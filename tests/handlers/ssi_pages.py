"""Pages with SSI commands: the rule, the text, and what is in nginx's response or error log."""

from __future__ import annotations

LONG = "x" * 300
COMMANDS = {
    # echo
    "echo": ("A variable is echoed.", '<!--#echo var="arg_a" -->', "[1]"),
    "echo-case": ("The name of a variable has no case.", '<!--#echo var="ARG_A"-->', "[1]"),
    "echo-none": ("A variable without a value is (none).", '<!--#echo var="nosuch" -->', "(none)"),
    "echo-empty": ("An empty variable is nothing.", '<!--#echo var="arg_e" -->', "[]"),
    "echo-default": ("A default replaces (none).", '<!--#echo var="x" default="d" -->', "[d]"),
    "echo-no-default": ("A default may be empty.", '<!--#echo var="x" default="" -->', "[]"),
    "echo-raw-default": (
        "A default is not evaluated.",
        '<!--#echo var="x" default="$uri\\"<" -->',
        "$uri",
    ),
    "echo-entity": (
        "Values are escaped for HTML.",
        '<!--#set var="v" value="<&>" --><!--#echo var="v" -->',
        "&lt;&amp;&gt;",
    ),
    "echo-url": (
        "Values may be escaped for URLs.",
        '<!--#set var="v" value="a b%c#d?e&f<\'>\u00ff" --><!--#echo var="v" encoding="url" -->',
        "%25",
    ),
    "echo-plain": (
        "Values may be left as they are.",
        '<!--#set var="v" value="<>" --><!--#echo var="v" encoding="none" -->',
        "[<>]",
    ),
    "echo-stays": (
        "An encoding stays until the next.",
        '<!--#set var="v" value="<" --><!--#echo var="v" encoding="none" --><!--#echo var="v" -->',
        "[<<]",
    ),
    "echo-unknown": (
        "An unknown encoding is logged.",
        '<!--#echo var="arg_a" encoding="x" -->',
        "unknown encod",
    ),
    "echo-host": ("nginx's variables are known.", '<!--#echo var="uri" -->', "echo-host"),
    "echo-set": ("Variables of the configuration are known.", '<!--#echo var="own" -->', "[mine]"),
    "echo-map": ("Variables of map are known.", '<!--#echo var="mapped" -->', "[one]"),
    "echo-header": ("Fields are known.", '<!--#echo var="http_host" -->', "front.test"),
    "echo-digit": ("Without a pattern $1 has no value.", '<!--#echo var="1" -->', "(none)"),
    # set
    "set": ("A variable is set.", '<!--#set var="v" value="a" --><!--#echo var="v" -->', "[a]"),
    "set-again": (
        "A variable is set again.",
        '<!--#set var="v" value="a" --><!--#set var="V" value="$v-$v" --><!--#echo var="v" -->',
        "[a-a]",
    ),
    "set-nginx": (
        "A variable of SSI hides one of nginx.",
        '<!--#set var="uri" value="a" --><!--#echo var="uri" -->',
        "[a]",
    ),
    "set-braces": (
        "A name may be in braces.",
        '<!--#set var="v" value="${arg_a}0$ARG_A" --><!--#echo var="v" -->',
        "[101]",
    ),
    "set-unclosed": ("A brace must be closed.", '<!--#set var="v" value="a${arg_a" -->', "closing"),
    "set-unclosed-2": (
        "A name ends at other characters.",
        '<!--#set var="v" value="${a-}" -->',
        "closing",
    ),
    "set-nameless": ("A dollar needs a name.", '<!--#set var="v" value="a$-" -->', "invalid var"),
    "set-dollar": ("A dollar at the end needs one.", '<!--#set var="v" value="a$" -->', "invalid"),
    "set-brace-end": (
        "A brace at the end needs one.",
        '<!--#set var="v" value="a${" -->',
        "invalid",
    ),
    "set-empty-braces": ("Braces need a name.", '<!--#set var="v" value="${}" -->', "invalid"),
    "set-none": (
        "A variable without a value is empty.",
        '<!--#set var="v" value="a${nosuch}b" --><!--#echo var="v" -->',
        "[ab]",
    ),
    "set-escape": (
        "A backslash hides quotes, dollars and itself.",
        r"""<!--#set var="v" value="\"\'\$a\\\n$arg_a\"" --><!--#echo var="v" -->""",
        "$a",
    ),
    "set-escape-plain": (
        "It does without variables, too.",
        r"""<!--#set var="v" value='\"\'\\\n\x' --><!--#echo var="v" -->""",
        r"\n\x",
    ),
    "set-escape-end": (
        "A backslash before a dollar at the end.",
        r"""<!--#set var="v" value="a\\" --><!--#echo var="v" -->""",
        "[a\\]",
    ),
    # if
    **{
        f"if-{number}": (
            "An expression compares texts.",
            f'<!--#if expr="{text}" -->yes<!--#else -->no<!--#endif -->',
            shows,
        )
        for number, (text, shows) in enumerate(
            [
                ("$arg_a", "[yes]"),
                ("$arg_e", "[no]"),
                ("$nosuch", "[no]"),
                ("a", "[yes]"),
                ("", "[no]"),
                ("$arg_a=1", "[yes]"),
                ("$arg_a = 1", "[yes]"),
                ("$arg_a=2", "[no]"),
                ("$arg_a != 1", "[no]"),
                ("$arg_a!=2", "[yes]"),
                ("$arg_a = $arg_a", "[yes]"),
                ("${arg_a} = 1", "[yes]"),
                ("$ARG_A = 1", "[yes]"),
                ("A = a", "[yes]"),
                ("a = A", "[no]"),
                ("$arg_a = 1 ", "[no]"),
                ("$arg_a == 1", "[no]"),
                ("$arg_e = ", "[yes]"),
                ("$arg_e =", "[yes]"),
                ("$arg_a !", "invalid expression"),
                ("$arg_a < 1", "invalid expression"),
                ("$arg_a ! = 1", "invalid expression"),
                ("Xy < 1", 'in "xy < 1"'),
                ("$arg_a = /1/", "[yes]"),
                ("$arg_a = /2/", "[no]"),
                ("$arg_a != /2/", "[yes]"),
                ("$arg_a = /1", "invalid expression"),
                ("$arg_a = /", "[no]"),
                ("$arg_a = //", "[yes]"),
                ("$arg_a = /[/", "pcre"),
                (r"$arg_a = \/1", "[no]"),
                ("$arg_a = /$arg_a/", "[yes]"),
                ("$arg_x = /^X/", "[yes]"),
                ("$arg_p = /^(a)(x)?b/", "[yes]"),
                ("$ = 1", "invalid variable"),
                ("${arg_a = 1", "closing bracket"),
                ("-", "invalid expression"),
                ("$arg_a=-", "[no]"),
                (" $arg_a", "invalid"),
                ("$arg_a ", "[yes]"),
                ("'a' = 'a'", "["),
            ]
        )
    },
    "if-digits": (
        "A pattern sets $0 to $9.",
        '<!--#if expr="$arg_p = /(a)(x)?(b)/" --><!--#echo var="0" -->-<!--#echo var="1" -->-'
        '<!--#echo var="2" -->-<!--#echo var="3" -->-<!--#echo var="4" --><!--#endif -->',
        "ab-a--b-(none)",
    ),
    "if-names": (
        "A pattern sets its named groups.",
        '<!--#if expr="$arg_p = /(?P<First>a)b/" --><!--#echo var="first" --><!--#endif -->',
        "[a]",
    ),
    "if-group": (
        "Groups can be used in values.",
        '<!--#if expr="$arg_p = /a(.)/" --><!--#set var="v" value="-$1-" -->'
        '<!--#echo var="v" --><!--#endif -->',
        "[-b-]",
    ),
    "elif": (
        "The first true branch is chosen.",
        '<!--#if expr="$x" -->1<!--#elif expr="$arg_a" -->2<!--#elif expr="$arg_a" -->3'
        "<!--#else -->4<!--#endif -->5",
        "[25]",
    ),
    "else": (
        "else follows if none is true.",
        '<!--#if expr="$x" -->1<!--#elif expr="$y" -->2<!--#else -->3<!--#endif -->',
        "[3]",
    ),
    "if-only": ("Without else nothing follows.", '<!--#if expr="$x" -->1<!--#endif -->', "[]"),
    "if-inside": (
        "An if inside an if is refused.",
        '<!--#if expr="$arg_a" --><!--#if expr="$arg_a" -->1<!--#endif -->2<!--#endif -->',
        'command inside the "if"',
    ),
    "if-skipped": (
        "In another branch an if is ignored.",
        '<!--#if expr="$x" --><!--#if expr="$arg_a" -->1<!--#endif -->2<!--#endif -->3',
        "[2[an error",
    ),
    "else-alone": ("else needs an if.", "<!--#else -->a", "invalid context"),
    "elif-alone": ("elif needs an if.", '<!--#elif expr="a" -->a', "invalid context"),
    "endif-alone": ("endif needs an if.", "<!--#endif -->a", "invalid context"),
    "else-twice": (
        "A second else is refused.",
        '<!--#if expr="$x" -->1<!--#else -->2<!--#else -->3<!--#endif -->4',
        "invalid context",
    ),
    "elif-late": (
        "elif may not follow else.",
        '<!--#if expr="$x" -->1<!--#else -->2<!--#elif expr="a" -->3<!--#endif -->4',
        "invalid context",
    ),
    "if-open": ("An if may stay open.", '<!--#if expr="$x" -->1', "["),
    "skipped": (
        "Commands of other branches are not executed.",
        '<!--#if expr="$x" --><!--#set var="v" value="1" --><!--#foo --><!--#include file="" -->'
        '<!--#endif --><!--#echo var="v" -->',
        "[(none)]",
    ),
    # config
    "errmsg": (
        "errmsg replaces the text of errors.",
        '<!--#config errmsg="[oops\\"]" --><!--#foo -->',
        "[oops",
    ),
    "timefmt": (
        "timefmt is the format of dates.",
        '<!--#config timefmt="%%-x%n" --><!--#echo var="date_gmt" -->'
        '<!--#echo var="date_local" -->',
        "%-x",
    ),
    "timefmt-empty": (
        "A date may be empty.",
        '<!--#config timefmt="" --><!--#echo var="date_gmt" -->',
        "[",
    ),
    "config-nothing": ("config may have no parameter.", "<!--#config -->", "[]"),
    # block
    "block": ("A block is not output.", '<!--#block name="b" -->text<!--#endblock -->', "[]"),
    "block-open": ("A block may stay open.", '<!--#block name="b" -->text', "["),
    "endblock": ("endblock needs no block.", "<!--#endblock -->a", "[a]"),
    "block-in-if": (
        "A block may be in an if.",
        '<!--#if expr="$arg_a" --><!--#block name="b" -->x<!--#endif --><!--#endblock -->y'
        "<!--#endif -->",
        "[y]",
    ),
    "stub": (
        "A block replaces an error.",
        '<!--#block name="b" -->stub<!--#endblock --><!--#include virtual="/404" stub="b" -->',
        "[stub]",
    ),
    "stub-empty": (
        "A block replaces an empty response.",
        '<!--#block name="b" -->stub<!--#endblock --><!--#include virtual="/empty" stub="b" -->',
        "[stub]",
    ),
    "stub-unused": (
        "A block does not replace another response.",
        '<!--#block name="b" -->stub<!--#endblock --><!--#include virtual="/p" stub="b" -->',
        "[included]",
    ),
    "stub-twice": (
        "A block may be used again.",
        '<!--#block name="b" -->s<!--#endblock --><!--#include virtual="/404" stub="b" -->'
        '<!--#include virtual="/404" stub="b" -->',
        "[ss]",
    ),
    "stub-absent": (
        "A block must be defined.",
        '<!--#include virtual="/404" stub="b" -->',
        "not found",
    ),
    "stub-missing-file": (
        "A block replaces the page of a missing file.",
        '<!--#block name="b" -->stub<!--#endblock --><!--#include virtual="none" stub="b" -->',
        "stub]",
    ),
    "stub-commands": (
        "The commands of a block are executed.",
        '<!--#block name="b" -->a<!--#echo var="arg_a" default=\'"\' -->b<!--#foo --><!--#set '
        'var="v" value="2" -->c<!--#endblock --><!--#include virtual="none" stub="b" -->'
        '<!--#echo var="v" -->',
        "[a",
    ),
    "stub-upstream": (
        "A block replaces the failure of an upstream.",
        '<!--#block name="b" -->stub<!--#endblock --><!--#include virtual="/502" stub="b" -->',
        "stub]",
    ),
    "stub-first": (
        "The first block of a name counts.",
        '<!--#block name="b" -->1<!--#endblock --><!--#block name="b" -->2<!--#endblock -->'
        '<!--#include virtual="/404" stub="b" -->',
        "[1]",
    ),
    # include
    "include": ("A response is included.", '<!--#include virtual="/p" -->', "[included]"),
    "include-file": ("file does the same.", '<!--#include file="/p" -->', "[included]"),
    "include-relative": (
        "A URI may be relative.",
        '<!--#include virtual="inc.html" -->',
        "[inc:none1]",
    ),
    "include-variable": (
        "A URI may have variables.",
        '<!--#include virtual="/$arg_q?$arg_a" -->',
        "[included]",
    ),
    "include-relative-variable": (
        "A relative one may, too.",
        '<!--#include virtual="${arg_i}.html" -->',
        "[inc:",
    ),
    "include-args": (
        "A URI may have arguments.",
        '<!--#include virtual="/show?a=b&c" -->',
        "args=a=b&c",
    ),
    "include-encoded": (
        "A URI is decoded.",
        '<!--#include virtual="/sh%6fw%20x?%20" -->',
        "/show x",
    ),
    "include-no-args": (
        "Arguments are not inherited.",
        '<!--#include virtual="/show" -->',
        "args=",
    ),
    "include-missing": (
        "A missing page shows an error.",
        '<!--#include virtual="/404" -->',
        "404 N",
    ),
    "include-up": ("A URI does not lead up.", '<!--#include virtual="/a/../p" -->', "unsafe URI"),
    "include-empty": ("A URI is not empty.", '<!--#include virtual="" -->', "["),
    "include-nothing": ("A URI is needed.", "<!--#include -->", "no parameter"),
    "include-both": ("There may be one.", '<!--#include virtual="a" file="b" -->', "either"),
    "include-wait": ("It may be waited for.", '<!--#include virtual="/p" wait="yes" -->', "[incl"),
    "include-no-wait": ("Or not.", '<!--#include virtual="/p" wait="NO" -->', "[included]"),
    "include-wait-wrong": (
        "wait is yes or no.",
        '<!--#include virtual="/p" wait="1" -->',
        "invalid",
    ),
    "include-wait-file": (
        "A file is waited for.",
        '<!--#include file="/p" wait="no" -->',
        "cannot",
    ),
    "include-set-stub": (
        "set and stub exclude each other.",
        '<!--#include virtual="/p" set="a" stub="b" -->',
        "together",
    ),
    "include-set": (
        "A variable takes a response.",
        '<!--#include virtual="/p" set="V" -->-<!--#echo var="v" -->',
        "[-included]",
    ),
    "include-set-error": (
        "A variable does not take an error.",
        '<!--#include virtual="/404" set="v" --><!--#echo var="v" -->',
        "[]",
    ),
    "include-set-kept": (
        "An error leaves the value.",
        '<!--#set var="v" value="old" --><!--#include virtual="/404" set="v" -->'
        '<!--#echo var="v" -->',
        "[old]",
    ),
    "include-set-upstream": (
        "A variable takes a response of an upstream.",
        '<!--#include virtual="/up/?b=x" set="v" --><!--#echo var="v" -->',
        "[x]",
    ),
    "include-shares": (
        "Included pages know the variables.",
        '<!--#set var="v" value="1" --><!--#include virtual="v.html" -->',
        "v=1",
    ),
    "include-later": (
        "Variables are set before a page is included.",
        '<!--#set var="v" value="1" --><!--#include virtual="v.html" -->'
        '<!--#set var="v" value="2" -->',
        "v=2",
    ),
    "include-wait-order": (
        "Unless it is waited for.",
        '<!--#set var="v" value="1" --><!--#include virtual="v.html" wait="yes" -->'
        '<!--#set var="v" value="2" -->',
        "v=1",
    ),
    "include-sets": (
        "A page that is waited for can set variables.",
        '<!--#include virtual="sets.html" wait="yes" --><!--#echo var="v" -->',
        "[from there]",
    ),
    "include-sets-late": (
        "One that is not cannot.",
        '<!--#include virtual="sets.html" --><!--#echo var="v" -->',
        "[(none)]",
    ),
    "include-errmsg": (
        "errmsg is not inherited.",
        '<!--#config errmsg="E" --><!--#include virtual="bad.html" -->',
        "an error occurred",
    ),
    "include-redirect": ("The page of a redirect.", '<!--#include virtual="/301" -->', "301 Moved"),
    "include-order": (
        "Responses come in order.",
        '1<!--#include virtual="/up/?b=2" -->3<!--#include virtual="/p" -->4',
        "[123included4]",
    ),
    "include-failed": ("The page of a failure.", '<!--#include virtual="/502" -->', "502 Bad"),
    "include-named": ("A named location is a file.", '<!--#include virtual="@named" -->', "404"),
    "include-post": ("The method is GET.", '<!--#include virtual="/show" -->', "GET"),
    "include-upstream": (
        "An upstream receives the fields.",
        '<!--#include virtual="/up/echo?z" -->',
        "X-Own: 1",
    ),
    "include-fragment": ("A # is a part of the path.", '<!--#include virtual="/show#a" -->', "#a"),
    "loop": ("A loop of includes ends.", '<!--#include virtual="loop.html" -->', "cycle"),
    # syntax
    "plain": ("Other comments stay.", "<!-- a --><!--a--><!-#echo --><!--# -->", "<!-- a -->"),
    "begun": ("What begins like a command stays.", "<<!-<!--<!--a", "<<!-<!--<!--a"),
    "quotes": ("Values may be in single quotes.", "<!--#echo var='arg_a'-->", "[1]"),
    "blanks": ("Blanks may be anywhere.", '<!--# \n echo\tvar = \r\n "arg_a"  -->', "[1]"),
    "tight": ("A dash ends a value.", '<!--#echo var="arg_a"-->', "[1]"),
    "after": ("Between parameters is a blank.", '<!--#echo var="arg_a"x -->', "unexpected"),
    "no-equals": ("A parameter has a value.", "<!--#echo var -->", "unexpected"),
    "no-equals-2": ("An equals sign follows its name.", '<!--#echo var "x" -->', "unexpected"),
    "no-value": ("A value is quoted.", "<!--#echo var=x -->", "unexpected"),
    "no-value-2": ("A value follows.", "<!--#echo var=-->", "unexpected"),
    "dash": ("A name of a parameter has no dash.", '<!--#echo a-b="x" -->', "unexpected"),
    "dash-2": ("A dash ends a name.", "<!--#ec-ho -->", "unexpected"),
    "dashes": ("Three dashes are an error.", '<!--#echo var="arg_a" --->a-->', "unexpected"),
    "unknown": ("Commands must be known.", "<!--#foo -->", "invalid SSI command"),
    "case": ("Commands have a case.", '<!--#Echo var="arg_a" -->', "invalid SSI command"),
    "parameter": ("Parameters must be known.", '<!--#echo x="a" -->', "invalid parameter"),
    "absent": ("Parameters may be needed.", "<!--#echo -->", "mandatory"),
    "double": ("Parameters may be given once.", '<!--#echo var="a" var="b" -->', "duplicate"),
    "many": ("There are 16 parameters.", "<!--#echo " + "var='a' " * 17 + "-->", "too many"),
    "most": ("16 of them are counted.", "<!--#echo " + "var='a' " * 16 + "-->", "duplicate"),
    "long-name": ("Names of commands are short.", f"<!--#{LONG} -->", "too long"),
    "long-parameter": ("Names of parameters are short.", f"<!--#echo {LONG} -->", "too long"),
    "long-value": ("Values are short.", f'<!--#echo var="{LONG}" -->', "too long"),
    "longest-value": ("255 are allowed.", f'<!--#echo var="{LONG[:255]}" -->', "(none)"),
    "long-escape": ("A backslash counts.", f'<!--#echo var="{LONG[:254]}\\a" -->', "too long"),
    "long-escape-2": ("Both do.", f'<!--#echo var="{LONG[:255]}\\a" -->', "too long"),
}
ENDS = {
    "end": ("A command may be cut.", 'a<!--#echo var="x"'),
    "end-begun": ("The beginning of a command is dropped.", "a<!-"),
    "end-less": ("A < at the end, too.", "a<"),
    "end-text": ("Text is complete.", "a<b"),
    "end-error": ("A broken command may be cut.", "a<!--#echo x x"),
}
