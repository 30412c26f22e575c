import java.text.Normalizer;
import java.util.*;
import java.util.stream.*;
import static java.lang.Character.*;

/** The tokenizer of the exported models: tokenizer.py, line by line. */
public final class Tokenizer {
    private static final int[] CHINESE = {0x3400, 0x4DBF, 0x4E00, 0x9FFF, 0xF900, 0xFAFF, 0x20000, 0x2A6DF,
        0x2A700, 0x2B73F, 0x2B740, 0x2B81F, 0x2B820, 0x2CEAF, 0x2F800, 0x2FA1F};
    private static final String MIDDLE =
        "'.:\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a";
    private final Map<String, Integer> ids = new HashMap<>();
    private final boolean lowerCase;

    /** Entries: the lines of vocab.txt; a token's id is its line number from 0. */
    public Tokenizer(List<String> entries, boolean lowerCase) {
        this.lowerCase = lowerCase;
        for (String entry : entries) ids.put(entry.replaceAll("^[ \t\r\ufeff]+|[ \t\r\ufeff]+$", ""), ids.size());
    }

    private static boolean is(int c, int... types) { return IntStream.of(types).anyMatch(type -> type == getType(c)); }
    private static boolean isChinese(int c) {
        return IntStream.range(0, 8).anyMatch(i -> CHINESE[2 * i] <= c && c <= CHINESE[2 * i + 1]);
    }
    private static boolean isSpace(int c) { return " \t\n\r\u2028\u2029".indexOf(c) >= 0 || is(c, SPACE_SEPARATOR); }
    private static boolean isDropped(int c) { return c == 0 || c == 0xFFFD || is(c, CONTROL, FORMAT); }
    private static boolean isPunctuation(int c) {
        return ('!' <= c && c <= '~' && !isLetterOrDigit(c)) || is(c, CONNECTOR_PUNCTUATION, DASH_PUNCTUATION,
            START_PUNCTUATION, END_PUNCTUATION, INITIAL_QUOTE_PUNCTUATION, FINAL_QUOTE_PUNCTUATION, OTHER_PUNCTUATION);
    }
    private static boolean isCased(int c) { return isLowerCase(c) || isUpperCase(c) || isTitleCase(c); }
    private static boolean isPassedOver(int c) { // when a sigma looks for its neighbours
        return MIDDLE.indexOf(c) >= 0
            || is(c, NON_SPACING_MARK, ENCLOSING_MARK, FORMAT, MODIFIER_LETTER, MODIFIER_SYMBOL);
    }

    /** Whether the nearest character that counts, from a place in a direction, has case. */
    private static boolean casedFrom(int[] word, int place, int step) {
        while (place >= 0 && place < word.length && isPassedOver(word[place])) place += step;
        return place >= 0 && place < word.length && isCased(word[place]);
    }
    private static String string(int c) { return new String(toChars(c)); }
    private static String lower(int[] word) {
        StringBuilder result = new StringBuilder();
        for (int i = 0; i < word.length; i++)
            if (word[i] != 0x3A3) result.append(string(word[i]).toLowerCase(Locale.ROOT));
            else result.append(casedFrom(word, i - 1, -1) && !casedFrom(word, i + 1, 1) ? '\u03c2' : '\u03c3');
        return result.toString();
    }

    public static List<String> basicTokens(String text, boolean lowerCase) {
        String words = text.codePoints().filter(c -> isSpace(c) || !isDropped(c)).mapToObj(c ->
            isSpace(c) ? "\n" : isChinese(c) ? "\n" + string(c) + "\n" : string(c)).collect(Collectors.joining());
        List<String> tokens = new ArrayList<>();
        for (String word : words.split("\n")) {
            if (lowerCase) word = Normalizer.normalize(lower(word.codePoints().toArray()), Normalizer.Form.NFD);
            String parts = word.codePoints().filter(c -> !lowerCase || !is(c, NON_SPACING_MARK)).mapToObj(c ->
                isPunctuation(c) ? "\n" + string(c) + "\n" : string(c)).collect(Collectors.joining());
            for (String token : parts.split("\n")) if (!token.isEmpty()) tokens.add(token);
        }
        return tokens;
    }

    public List<Integer> encode(String text) {
        return basicTokens(text, lowerCase).stream().map(this::pieces).flatMap(List::stream).collect(Collectors.toList());
    }
    private List<Integer> pieces(String token) {
        List<Integer> found = new ArrayList<>(), unknown = Collections.singletonList(ids.get("[UNK]"));
        if (token.codePointCount(0, token.length()) > 200) return unknown;
        for (int begin = 0, end = token.length(); begin < token.length(); begin = end, end = token.length()) {
            String mark = begin > 0 ? "##" : "";
            while (end > begin && !ids.containsKey(mark + token.substring(begin, end))) end--;
            if (end == begin) return unknown;
            found.add(ids.get(mark + token.substring(begin, end)));
        }
        return found;
    }
    /** input_ids, input_mask, segment_ids of at most a length, padded to it if asked; second may be null. */
    public int[][] pack(String first, String second, int length, boolean pad) {
        List<Integer> a = encode(first), b = second == null ? new ArrayList<>() : encode(second);
        int special = second == null ? 2 : 3;
        while (a.size() + b.size() > length - special) {
            List<Integer> longer = a.size() > b.size() ? a : b;
            longer.remove(longer.size() - 1);
        }
        int size = a.size() + b.size() + special, width = pad ? length : size;
        int[][] arrays = new int[3][width];
        for (int i = 0; i < width; i++) {
            int inB = i - a.size() - 2; // [CLS] A [SEP] B [SEP]
            arrays[0][i] = i >= size ? ids.get("[PAD]") : i == 0 ? ids.get("[CLS]") : i == size - 1 || inB == -1
                ? ids.get("[SEP]") : inB < 0 ? a.get(i - 1) : b.get(inB);
            arrays[1][i] = i < size ? 1 : 0;
            arrays[2][i] = i < size && inB >= 0 ? 1 : 0;
        }
        return arrays;
    }
}
